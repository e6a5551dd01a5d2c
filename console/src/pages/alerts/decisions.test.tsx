import { afterEach, expect, it } from 'vitest';

import type { Alert, AlertState } from '../../api/types';
import { stage } from '../../testing';
import { Decisions } from './decisions';

const DAY_MS = 86_400_000;
const STATUS = { notices: [], platform: { alerts_remembered_ms: 7 * DAY_MS, gateways_served: ['kong'] } };

let neverBlock: string[] = [];
const on = stage({
  answer: ({ pathname }) => Response.json(pathname.endsWith('/guard-rails') ? { never_block: neverBlock } : STATUS),
  role: 'responder',
});
afterEach(() => {
  neverBlock = [];
});

async function offered(
  state: AlertState,
  ageMs: number,
  gateway = 'kong',
  kind = 'consumer',
  anonymous_consumer = false,
) {
  const alert = {
    id: 'al_1',
    state,
    updated_ms: Date.now() - ageMs,
    entity: { kind, value: 'mallory', gateway },
    worst: { target: { anonymous_consumer }, consumer_custom_id: '', consumer_tags: ['vip'] },
  } as Alert;
  await on.show(<Decisions alert={alert} />);
  return Array.from(on.host.querySelectorAll('button, a'), (one) => one.textContent);
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
  expect(on.host.textContent).toContain('no responder blocks at other');
});

it.each([['mallory'], ['tag:vip']])('offers no block of whom the never-block rule %s protects', async (rule) => {
  neverBlock = ['somebody', rule];
  expect(await offered('open', 0)).toEqual(['Acknowledge', 'Resolve', 'False positive', 'Make a policy']);
  expect(on.host.textContent).toContain('a never-block rule protects this consumer');
});

it.each([
  ['ip', false, 'no policy restricts an address'],
  ['network', false, 'no policy restricts a network'],
  ['consumer', true, 'no policy restricts the anonymous consumer'],
])('offers no policy about whom none can restrict: %s', async (kind, isAnonymous, words) => {
  expect(await offered('open', 0, 'kong', kind, isAnonymous)).toEqual(['Acknowledge', 'Resolve', 'False positive']);
  expect(on.host.textContent).toContain(words);
});
