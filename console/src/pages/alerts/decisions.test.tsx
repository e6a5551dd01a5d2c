import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Alert, AlertState } from '../../api/types';
import { stubBrowser, unstubBrowser } from '../../testing';
import { Decisions } from './decisions';

const DAY_MS = 86_400_000;

let frame: HTMLElement;
let neverBlock: string[];
let unmount: () => void;

beforeEach(() => {
  stubBrowser();
  const status = { notices: [], platform: { alerts_remembered_ms: 7 * DAY_MS, gateways_served: ['kong'] } };
  neverBlock = [];
  vi.stubGlobal('fetch', ({ url }: Request) =>
    Promise.resolve(Response.json(url.endsWith('/guard-rails') ? { never_block: neverBlock } : status)),
  );
  frame = document.createElement('div');
  document.body.append(frame);
});
afterEach(() => {
  unmount();
  frame.remove();
  unstubBrowser();
});

async function offered(state: AlertState, ageMs: number, gateway = 'kong') {
  const client = new QueryClient();
  client.setQueryData(['session'], { role: 'responder' });
  const alert = {
    id: 'al_1',
    state,
    updated_ms: Date.now() - ageMs,
    entity: { kind: 'consumer', value: 'mallory', gateway },
    worst: { target: { anonymous_consumer: false }, consumer_custom_id: '', consumer_tags: ['vip'] },
  } as Alert;
  const root = createRoot(frame);
  unmount = () => act(() => root.unmount());
  act(() => {
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={client}>
          <MemoryRouter>
            <Decisions alert={alert} />
          </MemoryRouter>
        </QueryClientProvider>
      </MantineProvider>,
    );
  });
  await act(() => vi.waitFor(() => expect(client.isFetching()).toBe(0)));
  return Array.from(frame.querySelectorAll('button, a'), (one) => one.textContent);
}

it.each<[AlertState, number, string[]]>([
  ['open', 30, ['Acknowledge', 'Resolve', 'False positive', 'Make a policy', 'Block now']],
  ['acknowledged', 30, ['Resolve', 'False positive', 'Make a policy', 'Block now']],
  ['resolved', 6, ['False positive', 'Make a policy', 'Block now']],
  ['resolved', 8, ['Make a policy']],
  ['false_positive', 6, ['Make a policy', 'Block now']],
  ['false_positive', 8, ['Make a policy']],
])('of an alert that is %s since %i days', async (state, days, expected) => {
  expect(await offered(state, days * DAY_MS)).toEqual(expected);
});

it('says that nobody can be blocked where no responder is', async () => {
  expect(await offered('open', 0, 'other')).not.toContain('Block now');
  expect(frame.textContent).toContain('no responder blocks at other');
});

it.each([['mallory'], ['tag:vip']])('offers no block of whom the never-block rule %s protects', async (rule) => {
  neverBlock = ['somebody', rule];
  expect(await offered('open', 0)).toEqual(['Acknowledge', 'Resolve', 'False positive', 'Make a policy']);
  expect(frame.textContent).toContain('a never-block rule protects this consumer');
});
