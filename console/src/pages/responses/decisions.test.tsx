import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { Action, Role } from '../../api/types';
import { stubBrowser, unstubBrowser } from '../../testing';
import { ActionDecisions } from './decisions';
import { NoActions } from './ResponsesPage';

let host: HTMLElement;
let unmount: () => void;

beforeEach(() => {
  stubBrowser();
  host = document.createElement('div');
});
afterEach(() => {
  act(() => unmount());
  unstubBrowser();
});

function draw(role: Role, neverBlock: string[], shown: ReactNode) {
  const client = new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } });
  client.setQueryData(['session'], { role });
  client.setQueryData(['guard-rails'], { never_block: neverBlock });
  const root = createRoot(host);
  unmount = () => root.unmount();
  act(() =>
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={client}>
          <MemoryRouter>{shown}</MemoryRouter>
        </QueryClientProvider>
      </MantineProvider>,
    ),
  );
}

const buttons = () => [...host.querySelectorAll('button')].map((button) => button.textContent);
const proposed = {
  id: 'ac_1',
  state: 'proposed',
  state_reason: 'never-block rule `tag:vip`',
  target: { kind: 'consumer', value: 'c-1', label: 'alice', gateway: 'kong', workspace: '' },
} as Action;

it.each<[string[], string[]]>([
  [[], ['Approve', 'Reject']],
  [
    ['bob', 'tag:other'],
    ['Approve', 'Reject'],
  ],
  [['tag:vip'], ['Reject']],
  [['alice'], ['Reject']],
])('offers of a proposal under the never-block rules %j: %j', (rules, expected) => {
  draw('responder', rules, <ActionDecisions action={proposed} size="xs" />);
  expect(buttons()).toEqual(expected);
  const isProtected = host.textContent.includes('a never-block rule protects this consumer; reject it');
  expect(isProtected).toBe(expected.length === 1);
});

it.each<[Role, boolean]>([
  ['viewer', false],
  ['responder', true],
])('leads a %s to a new policy and to “Block now”: %s', (role, isOffered) => {
  draw(role, [], <NoActions group="active" isFiltered={false} />);
  expect(host.querySelector('a[href="/policies/new"]') !== null).toBe(isOffered);
  expect(host.textContent.includes('Block now')).toBe(isOffered);
});
