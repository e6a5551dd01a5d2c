import { act, useLayoutEffect, useMemo } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import { type Coming, useCalls } from './useCalls';

const START_MS = 1_000_000;
const OF = { entity: { kind: 'consumer' as const, value: 'mallory' }, search: '' };

let perSecond = 0;
/** How much later than the others every fifth call comes. */
let lateMs = 0;
let coming: Coming;
let until: number | undefined;
let shown: ReturnType<typeof useCalls>;
/** What was shown at any moment and is no row of calls without a gap. */
let torn: number[][];
/** What was shown at any moment and was out of order, or twice. */
let mixed: number[][];
/** What was said to be new, and whether that was all. */
let announced: [number, boolean][];

/** The newest calls of somebody who calls again and again, as the API answers. */
function answer(url: URL): Response {
  const now = Math.floor(((Date.now() - START_MS) / 1000) * perSecond) + 100;
  const since = Number(url.searchParams.get('since_ms') ?? 0);
  const timeOf = (position: number) => START_MS + ((position - 100) / perSecond) * 1000;
  const limit = Number(url.searchParams.get('limit'));
  const end = Number(url.searchParams.get('until_ms') ?? Infinity);
  const isThere = (position: number) => position % 5 > 0 || timeOf(position) + lateMs <= Date.now();
  const items = [];
  for (let position = now; position > 0 && timeOf(position) >= since && items.length < limit; position -= 1)
    if (timeOf(position) < end && isThere(position))
      items.push({ position, call_index: 0, time_us: timeOf(position) * 1000 });
  return Response.json({ items, next: items.length === limit ? 'more' : null });
}

const on = stage({ answer });

function Follower() {
  const of = useMemo(() => ({ ...OF, until }), []);
  const calls = useCalls(of, coming, coming === 'new');
  const { fresh, showFresh } = calls;
  useLayoutEffect(() => {
    shown = calls;
    const now = positions();
    if (now.some((position, index) => position !== now[0]! - index)) torn.push(now);
    if (now.some((position, index) => index > 0 && position >= now[index - 1]!)) mixed.push(now);
    if (fresh > 0) {
      announced.push([fresh, !calls.hasMoreFresh]);
      showFresh();
    }
  });
  return null;
}

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS });
  torn = [];
  mixed = [];
  [lateMs, coming, until] = [0, 'new', undefined];
  announced = [];
});
afterEach(() => {
  on.leave();
  expect(mixed).toEqual([]);
  vi.useRealTimers();
});

async function follow(seconds: number) {
  on.draw(<Follower />);
  await act(() => vi.advanceTimersByTimeAsync(0));
  for (let passed = 0; passed < seconds * 10; passed += 1) await act(() => vi.advanceTimersByTimeAsync(100));
}

const positions = () => shown.rows.map((call) => call.position);

it('shows every call that comes, and asks about once a second', async () => {
  perSecond = 10;
  await follow(6);
  expect(positions()[0]).toBeGreaterThanOrEqual(100 + 5 * 10);
  expect(positions()).toEqual(Array.from({ length: positions()[0]! }, (_, index) => positions()[0]! - index));
  expect(on.asked.length).toBeLessThanOrEqual(9);
  expect(announced.every(([, isAll]) => isAll)).toBe(true);
});

it('asks twice a second while very many come, and still misses none', async () => {
  perSecond = 400;
  await follow(6);
  expect(positions()[0]).toBeGreaterThanOrEqual(100 + 5 * 400);
  expect(positions()).toEqual(Array.from({ length: positions().length }, (_, index) => positions()[0]! - index));
  expect(on.asked.length).toBeLessThanOrEqual(15);
});

it('begins anew where more come than an answer holds', async () => {
  perSecond = 3000;
  await follow(6);
  expect(positions()[0]).toBeGreaterThanOrEqual(100 + 4 * 3000);
  expect(positions()).toEqual(Array.from({ length: positions().length }, (_, index) => positions()[0]! - index));
  expect(positions().length).toBeLessThanOrEqual(1000);
  expect(on.asked.length).toBeLessThanOrEqual(30);
  expect(announced).toContainEqual([500, false]);
});

it('does not keep calls without an end', async () => {
  perSecond = 400;
  await follow(30);
  expect(positions()[0]).toBeGreaterThanOrEqual(100 + 29 * 400);
  expect(positions().length).toBeGreaterThan(200);
  expect(positions().length).toBeLessThanOrEqual(6000);
});

it('shows no call twice when the first page is read again', async () => {
  perSecond = 10;
  await follow(6);
  await act(() => on.client.invalidateQueries({ queryKey: ['calls'] }));
  for (let passed = 0; passed < 30; passed += 1) await act(() => vi.advanceTimersByTimeAsync(100));
  expect(positions()[0]).toBeGreaterThanOrEqual(100 + 8 * 10);
  expect(torn).toEqual([]);
});

it('leaves nothing out for somebody who comes back', async () => {
  perSecond = 100;
  await follow(6);
  on.leave();
  await vi.advanceTimersByTimeAsync(60_000);
  await follow(3);
  expect(positions()[0]).toBeGreaterThanOrEqual(100 + 68 * 100);
  expect(torn).toEqual([]);
});

it.each([10, 200])('puts calls that come late where they belong: %s a second', async (rate) => {
  perSecond = rate;
  lateMs = 1200;
  await follow(8);
  const [newest] = positions();
  expect(newest).toBeGreaterThanOrEqual(100 + 6 * rate);
  // Those of the last three seconds may still be on their way.
  const old = positions().filter((position) => position <= newest! - 3 * rate);
  expect(old).toEqual(Array.from({ length: old.length }, (_, index) => old[0]! - index));
  expect(old.length).toBeGreaterThan(3 * rate);
  expect(announced.every(([, isAll]) => isAll)).toBe(true);
});

it('waits a while for the late ones of a time that is over, and shows none of later', async () => {
  perSecond = 10;
  lateMs = 40_000;
  coming = 'late';
  until = START_MS + 1;
  await follow(10);
  expect(positions().slice(0, 5)).toEqual([99, 98, 97, 96, 94]);
  await follow(50);
  expect(positions()).toEqual(Array.from({ length: 100 }, (_, index) => 100 - index));
  expect(on.asked.length).toBeLessThanOrEqual(8);
});
