import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Stretch } from '../../charts/Strip';
import { stage } from '../../testing';
import { useStretches } from './marks';

const HOUR = 3_600_000;
/** Midnight of UTC. */
const DAY = Date.UTC(2026, 10, 28);
const NOW = DAY + 20 * HOUR;

let items: Record<string, unknown[]>;
let oldestDay: string | null;
const on = stage({
  answer: ({ pathname }) =>
    pathname === '/api/v1/status'
      ? Response.json({ notices: [], platform: { progress: { lake_oldest_day: oldestDay } } })
      : Response.json({ items: items[pathname] ?? [] }),
});
beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  [items, oldestDay] = [{}, null];
});
afterEach(() => void vi.useRealTimers());

async function stretches(since: number, until: number): Promise<Stretch[]> {
  let found: Stretch[] = [];
  const range = { since, until };
  function Marked({ tell }: { tell: (stretches: Stretch[]) => void }) {
    tell(useStretches({ value: 'mallory', gateway: 'kong' }, range));
    return null;
  }
  on.draw(<Marked tell={(stretches) => (found = stretches)} />);
  for (let times = 0; times < 10; times += 1) await act(() => vi.advanceTimersByTimeAsync(1));
  return found;
}

const gap = (id: number, since_ms: number, until_ms: number | null) => ({
  id,
  kind: 'calls_lost',
  gateways: ['kong'],
  since_ms,
  until_ms,
  detail: '40 calls',
});

it('has the gaps of its gateway, and until now those that last', async () => {
  items['/api/v1/gaps'] = [gap(1, NOW - 2 * HOUR, NOW - HOUR), gap(2, NOW - HOUR / 2, null)];
  const found = await stretches(NOW - 3 * HOUR, NOW + HOUR);
  expect(found).toMatchObject([
    { id: 'gap 1', kind: 'gap', since: NOW - 2 * HOUR, until: NOW - HOUR, words: 'calls lost: 40 calls' },
    { id: 'gap 2', kind: 'gap', since: NOW - HOUR / 2 },
  ]);
  expect(found[1]!.until).toBeGreaterThanOrEqual(NOW);
  const query = on.asked.find((url) => url.pathname === '/api/v1/gaps')!.searchParams;
  expect([query.get('gateway'), query.get('since_ms')]).toEqual(['kong', String(NOW - 3 * HOUR)]);
});

it('leaves out what ended before its range or began after it', async () => {
  items['/api/v1/gaps'] = [gap(1, NOW - 9 * HOUR, NOW - 8 * HOUR), gap(2, NOW + HOUR, null)];
  expect(await stretches(NOW - 3 * HOUR, NOW)).toEqual([]);
});

it('has blocks from when the gateway had them until they ended', async () => {
  const kind = { kind: 'block', status: 403, message: '' };
  const history = [
    { state: 'pending', at_ms: NOW - 3 * HOUR },
    { state: 'stored', at_ms: NOW - 2 * HOUR },
    { state: 'released', at_ms: NOW - HOUR },
  ];
  items['/api/v1/actions'] = [
    { id: 'ac_1', kind, state: 'released', history },
    { id: 'ac_2', kind, state: 'proposed', history: [] },
  ];
  expect(await stretches(NOW - 4 * HOUR, NOW)).toMatchObject([
    { id: 'ac_1', kind: 'action', since: NOW - 2 * HOUR, until: NOW - HOUR },
  ]);
});

it.each<[string, string | null, number, number | undefined]>([
  ['before the oldest day', '2026-11-28', DAY - 48 * HOUR, DAY],
  ['within what is kept', '2026-11-28', DAY, undefined],
  ['where the lake has no day yet', null, DAY - 48 * HOUR, undefined],
  ['where it says something else', 'soon', DAY - 48 * HOUR, undefined],
])('shades time that is not kept: %s', async (_, day, since, until) => {
  oldestDay = day;
  const words = 'Not kept: the lake begins with 2026-11-28 (UTC)';
  const expected = until === undefined ? [] : [{ id: 'not kept', kind: 'not_kept', since, until, words }];
  expect(await stretches(since, NOW)).toEqual(expected);
});
