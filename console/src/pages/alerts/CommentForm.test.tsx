import { act } from 'react';
import { beforeEach, expect, it } from 'vitest';

import type { Alert } from '../../api/types';
import { stage } from '../../testing';
import { CommentForm } from './CommentForm';

let refusal: Response;
const on = stage({ answer: () => refusal });

/** What the API says of a decision. */
function refuse(status: number, detail: string) {
  refusal = Response.json({ type: 'urn:outrider:problem:x', title: 'x', status, detail }, { status });
}

beforeEach(() => on.draw(<CommentForm alert={{ id: 'al_1' } as Alert} />));

const field = () => on.host.querySelector('textarea')!;

async function comment(words: string) {
  act(() => {
    // As React notices it.
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value')!.set!.call(field(), words);
    field().dispatchEvent(new Event('input', { bubbles: true }));
  });
  act(() => on.host.querySelector('button')!.click());
  await on.settle();
  expect(on.host.querySelector('[role=alert]')).not.toBeNull();
}

it('says of an alert that ended long ago that it is history, and keeps what was typed', async () => {
  refuse(404, 'there is no alert al_1, or it ended longer ago than 7 days');
  await comment('it was a test');
  expect(on.host.querySelector('[role=alert]')!.textContent).toMatch(/^This alert is only history now/);
  expect(on.host.textContent).not.toContain('there is no alert');
  expect(on.host.querySelector('button')).toBeNull();
  expect(field().value).toBe('it was a test');
});

it('says what else went wrong as the API says it', async () => {
  refuse(409, 'alert al_1 has no room left');
  await comment('it was a test');
  expect(on.host.querySelector('[role=alert]')!.textContent).toContain('alert al_1 has no room left');
  expect(on.host.querySelector('button')).not.toBeNull();
});
