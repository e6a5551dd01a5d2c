import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Alert } from '../../api/types';
import { stubBrowser, unstubBrowser } from '../../testing';
import { CommentForm } from './CommentForm';

let frame: HTMLElement;
let unmount: () => void;

/** What the API says of a decision. */
function refuse(status: number, detail: string) {
  const problem = { type: 'urn:outrider:problem:x', title: 'x', status, detail };
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json(problem, { status })));
}

beforeEach(() => {
  stubBrowser();
  frame = document.createElement('div');
  document.body.append(frame);
  const root = createRoot(frame);
  act(() =>
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={new QueryClient()}>
          <CommentForm alert={{ id: 'al_1' } as Alert} />
        </QueryClientProvider>
      </MantineProvider>,
    ),
  );
  unmount = () => act(() => root.unmount());
});
afterEach(() => {
  unmount();
  frame.remove();
  unstubBrowser();
});

const field = () => frame.querySelector('textarea')!;

async function comment(words: string) {
  act(() => {
    // As React notices it.
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value')!.set!.call(field(), words);
    field().dispatchEvent(new Event('input', { bubbles: true }));
  });
  act(() => frame.querySelector('button')!.click());
  await act(() => vi.waitFor(() => expect(frame.querySelector('[role=alert]')).not.toBeNull()));
}

it('says of an alert that ended long ago that it is history, and keeps what was typed', async () => {
  refuse(404, 'there is no alert al_1, or it ended longer ago than 7 days');
  await comment('it was a test');
  expect(frame.querySelector('[role=alert]')!.textContent).toMatch(/^This alert is only history now/);
  expect(frame.textContent).not.toContain('there is no alert');
  expect(frame.querySelector('button')).toBeNull();
  expect(field().value).toBe('it was a test');
});

it('says what else went wrong as the API says it', async () => {
  refuse(409, 'alert al_1 has no room left');
  await comment('it was a test');
  expect(frame.querySelector('[role=alert]')!.textContent).toContain('alert al_1 has no room left');
  expect(frame.querySelector('button')).not.toBeNull();
});
