import { act } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';

import type { Endpoint, TemplatesForm } from '../../api/types';
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
/** What was asked for, without deciding. */
let previewed: unknown[] = [];
let refuses = false;
let preview: () => Response;
const on = stage({
  role: 'responder',
  answer: async ({ pathname }, request) => {
    if (pathname.endsWith('/endpoints/ep_0'))
      return Response.json({ id: 'ep_0', key: { method: 'GET', template: '/users/{login}' } });
    if (request.method !== 'POST') return undefined;
    if (pathname.endsWith('/preview')) {
      previewed.push(await request.json());
      return preview();
    }
    sent.push(await request.json());
    return refuses
      ? Response.json({ type: 'problem', status: 409, detail: 'another one names the same parameter' }, { status: 409 })
      : undefined;
  },
});
beforeEach(() => {
  sent = [];
  previewed = [];
  refuses = false;
  preview = () => Response.json({ items: [], more: 0, left_out: [], more_left_out: 0 });
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

const effects = () => dialog().querySelector('[aria-label="What it would do"]');
const status = () => effects()?.querySelector('[role=status]')?.textContent;
const reaches = (words: string) =>
  vi.waitFor(
    async () => {
      await on.settle();
      expect(effects()?.textContent).toContain(words);
    },
    { timeout: 30_000 },
  );

it('shows what would happen to endpoints before it is decided', async () => {
  const about = { endpoint: 'ep_1', method: 'GET', before: '/users/{user_id}' };
  preview = () =>
    Response.json({ items: [{ kind: 'merged', ...about, into: 'ep_0' }], more: 2, left_out: [], more_left_out: 0 });
  await on.show(<CorrectDialog endpoint={ENDPOINT} kind="pin" close={() => undefined} />);
  await reaches('Of the endpoints 1 is merged. 2 more would change that are not listed.');
  await on.settle();
  const [row] = effects()!.querySelectorAll('li');
  expect(row!.textContent).toBe('MergedGET /users/{user_id} counts as GET /users/{login}');
  await submit();
  expect(previewed).toEqual(sent);
});

it('reckons nothing of what is not complete, and once of what is typed in one go', async () => {
  await on.show(<CorrectDialog endpoint={ENDPOINT} kind="split" close={() => undefined} />);
  expect(effects()).toBeNull();
  type('m');
  type('a/b');
  expect(effects()).toBeNull();
  type('me');
  await reaches('It would change no endpoint now.');
  expect(previewed).toHaveLength(1);
  type('mine');
  type('my');
  expect(status()).toBe('Reckoning…');
  await reaches('It would change no endpoint now.');
  const value = ({ decisions }: TemplatesForm) => decisions[0]!.change;
  expect(previewed.map((form) => value(form as TemplatesForm))).toEqual([
    { split: { value: 'me' } },
    { split: { value: 'my' } },
  ]);
});

it('says why it cannot reckon, and lets decide all the same', async () => {
  preview = () =>
    Response.json({ type: 'problem', status: 409, detail: 'there is no such parameter' }, { status: 409 });
  await on.show(<CorrectDialog endpoint={ENDPOINT} kind="pin" close={() => undefined} />);
  await reaches('there is no such parameter');
  await submit();
  expect(sent).toHaveLength(1);
});

it('says of a template that it rests on little', async () => {
  await on.show(<Confidence endpoint={ENDPOINT} />);
  expect(on.host.textContent).toBe('54 %, from 3 callsfew observations');
  await on.show(<Confidence endpoint={{ ...ENDPOINT, provisional: false, confidence: 0.98, observations: 1 }} />);
  expect(on.host.textContent).toBe('98 %, from 1 call');
});
