import { QueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { expect, it } from 'vitest';

import type { Action, Role } from '../../api/types';
import { stage } from '../../testing';
import { ActionDecisions } from './decisions';
import { NoActions } from './ResponsesPage';

const on = stage({ makeClient: () => new QueryClient({ defaultOptions: { queries: { staleTime: Infinity } } }) });

function draw(role: Role, neverBlock: string[], shown: ReactNode) {
  on.client.setQueryData(['session'], { role });
  on.client.setQueryData(['guard-rails'], { never_block: neverBlock });
  on.draw(shown);
}

const buttons = () => [...on.host.querySelectorAll('button')].map((button) => button.textContent);
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
  const isProtected = on.host.textContent.includes('a never-block rule protects this consumer; reject it');
  expect(isProtected).toBe(expected.length === 1);
});

it.each<[Role, boolean]>([
  ['viewer', false],
  ['responder', true],
])('leads a %s to a new policy and to “Block now”: %s', (role, isOffered) => {
  draw(role, [], <NoActions group="active" isFiltered={false} />);
  expect(on.host.querySelector('a[href="/policies/new"]') !== null).toBe(isOffered);
  expect(on.host.textContent.includes('Block now')).toBe(isOffered);
});
