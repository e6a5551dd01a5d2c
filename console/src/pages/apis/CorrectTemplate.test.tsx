import { act } from 'react';
import { beforeEach, expect, it } from 'vitest';

import type { Endpoint } from '../../api/types';
import { stage } from '../../testing';
import { Confidence } from './Confidence';
import { CorrectDialog, CorrectTemplate } from './CorrectTemplate';

const ENDPOINT = {
  id: 'ep_1',
  key: { gateway: 'kong', workspace: 'w', service: 's', method: 'GET', template: '/users/{user_id}' },
  confidence: 0.54,
  observations: 3,
  provisional: true,
} as Endpoint;

let sent: unknown[] = [];
let refuses = false;
const on = stage({
  role: 'responder',
  answer: async (_, request) => {
    if (request.method !== 'POST') return undefined;
    sent.push(await request.json());
    return refuses
      ? Response.json({ type: 'problem', status: 409, detail: 'another one names the same parameter' }, { status: 409 })
      : undefined;
  },
});
beforeEach(() => {
  sent = [];
  refuses = false;
});

const dialog = () => document.querySelector('[role=dialog]')!;

function type(text: string) {
  const field = dialog().querySelector<HTMLInputElement>('input:not([readonly])')!;
  act(() => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(field, text);
    field.dispatchEvent(new Event('input', { bubbles: true }));
  });
}

async function submit() {
  act(() => dialog().querySelector('form')!.requestSubmit());
  await on.settle();
}

it('is for responders and above, and not for what lives on elsewhere', async () => {
  await on.show(<CorrectTemplate endpoint={ENDPOINT} />);
  expect(on.host.textContent).toContain('Correct the template');
  await on.show(<CorrectTemplate endpoint={{ ...ENDPOINT, merged_into: 'ep_2' }} />);
  expect(on.host.textContent).toBe('');
  act(() => void on.client.setQueryData(['session'], { role: 'analyst' }));
  await on.show(<CorrectTemplate endpoint={ENDPOINT} />);
  expect(on.host.textContent).toBe('');
});

it('says what will happen before it is decided, and sends that', async () => {
  let closed = false;
  await on.show(<CorrectDialog endpoint={ENDPOINT} kind="split" close={() => (closed = true)} />);
  type('me');
  expect(dialog().querySelector('[role=note]')!.textContent).toMatch(/^\/users\/me becomes a path of its own/);
  await submit();
  expect(sent).toEqual([
    {
      taken_back: [],
      decisions: [
        {
          gateway: 'kong',
          workspace: 'w',
          service: 's',
          template: '/users/{user_id}',
          change: { split: { value: 'me' } },
          origin: 'operator',
        },
      ],
    },
  ]);
  expect(closed).toBe(true);
});

it('sends nothing under a name that no parameter may have', async () => {
  await on.show(<CorrectDialog endpoint={ENDPOINT} kind="rename" close={() => undefined} />);
  type('no name');
  await submit();
  expect(sent).toEqual([]);
  type('login');
  await submit();
  expect(sent).toHaveLength(1);
});

it('stays open and says why it was refused', async () => {
  refuses = true;
  let closed = false;
  await on.show(<CorrectDialog endpoint={ENDPOINT} kind="pin" close={() => (closed = true)} />);
  await submit();
  expect(dialog().querySelector('[role=alert]')!.textContent).toContain('names the same parameter');
  expect(closed).toBe(false);
});

it('says of a template that it rests on little', async () => {
  await on.show(<Confidence endpoint={ENDPOINT} />);
  expect(on.host.textContent).toBe('54 %, from 3 callsfew observations');
  await on.show(<Confidence endpoint={{ ...ENDPOINT, provisional: false, confidence: 0.98, observations: 1 }} />);
  expect(on.host.textContent).toBe('98 %, from 1 call');
});
