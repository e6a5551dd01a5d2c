import { QueryClient } from '@tanstack/react-query';
import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { noteServerTime } from '../../live/clock';
import { utc } from '../../parts/words';
import { stage } from '../../testing';
import TimelinePage from './TimelinePage';

/** A step begins there, of a day's as well as of a quarter of an hour's. */
const START_MS = 1_795_862_340_000;
const [SECOND, MINUTE] = [1000, 60_000];

const STEP = { start_ms: START_MS - 30 * MINUTE, calls: 3, client_errors: 0, server_errors: 0, refused: 0 };

/** Whether mallory calls, once a second. */
let isCalling: boolean;
let calls: number;
let densities: URL[];
const on = stage({
  answer: (url) => {
    switch (url.pathname) {
      case '/api/v1/timeline/density':
        densities.push(url);
        return Response.json({ step_ms: 540_000, since_ms: 0, until_ms: 0, steps: [STEP] });
      case '/api/v1/timeline':
      case '/api/v1/search':
        return Response.json({ items: [call(calls)], next: null });
      default:
        return undefined;
    }
  },
  // As the console's own: what was asked for lately is not asked again only because it is shown again.
  makeClient: () => new QueryClient({ defaultOptions: { queries: { staleTime: 10_000 } } }),
});

const call = (position: number) => ({
  position,
  call_index: 0,
  time_us: (START_MS + position * SECOND) * 1000,
  status: 200,
  own_refusal: null,
  path: '/',
  method: 'GET',
});

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS });
  isCalling = false;
  calls = 0;
  densities = [];
  dispatchEvent(new Event('keydown'));
});
afterEach(() => void vi.useRealTimers());

async function look(address: string, seconds: number) {
  on.draw(<TimelinePage />, `/timeline?kind=consumer&entity=mallory${address}`);
  await act(() => vi.advanceTimersByTimeAsync(0));
  await pass(seconds);
}

async function pass(seconds: number) {
  for (let passed = 0; passed < seconds; passed += 5) {
    if (isCalling) calls += 5;
    await act(() => vi.advanceTimersByTimeAsync(5 * SECOND));
  }
}

const askedOf = (name: string) => densities.filter((url) => url.searchParams.get('entity') === name);

it('asks for the drawing once a minute while nothing is new: calls that come late are not the newest', async () => {
  await look('', 55);
  expect(densities).toHaveLength(1);
  await pass(120);
  expect(densities).toHaveLength(3);
});

it('asks again every ten seconds while calls come, for the same time', async () => {
  isCalling = true;
  await look('', 60);
  expect(densities.length).toBeGreaterThanOrEqual(5);
  expect(densities.length).toBeLessThanOrEqual(7);
  expect(new Set(densities.map(String)).size).toBe(1);
  isCalling = false;
  await pass(20);
  const before = densities.length;
  await pass(50);
  expect(densities.length).toBeLessThanOrEqual(before + 1);
});

it('asks for a peer at every look, whoever calls', async () => {
  await look('&peer=bob', 55);
  expect(askedOf('mallory')).toHaveLength(1);
  expect(askedOf('bob')).toHaveLength(6);
});

it('asks again while anybody calls, where a filter hides who does', async () => {
  await look('&q=status:403', 15);
  on.client.setQueryData(['summary'], { calls: 7 });
  await pass(20);
  expect(densities).toHaveLength(1);
  on.client.setQueryData(['summary'], { calls: 8 });
  await pass(20);
  expect(densities).toHaveLength(2);
});

it('moves on by whole steps, and asks for each', async () => {
  const stepMs = 5625;
  await look('&last=15m', 35);
  const ends = densities.map((url) => Number(url.searchParams.get('until_ms')) - START_MS);
  expect(ends.map((end) => end / stepMs)).toEqual([1, 2, 4, 6]);
});

it.each(['', '&q=status:403'])('asks once for a time that is over%s', async (search) => {
  isCalling = true;
  on.client.setQueryData(['summary'], { calls: 0 });
  const passing = setInterval(() => on.client.setQueryData(['summary'], { calls }), 5 * SECOND);
  await look(`&peer=bob&since=${START_MS - 60 * MINUTE}&until=${START_MS - 20 * MINUTE}${search}`, 150);
  clearInterval(passing);
  expect(askedOf('mallory')).toHaveLength(1);
  expect(askedOf('bob')).toHaveLength(1);
});

it('asks once a minute for a quarter of an hour after the end of a time, and once more: calls may come late', async () => {
  await look(`&peer=bob&since=${START_MS - 60 * MINUTE}&until=${START_MS - 11 * MINUTE}`, 55);
  expect(densities).toHaveLength(2);
  await pass(120);
  expect(askedOf('mallory')).toHaveLength(3);
  expect(askedOf('bob')).toHaveLength(3);
  await pass(120);
  const before = densities.length;
  await pass(120);
  expect(densities).toHaveLength(before);
});

it('ends where the time of outrider is, also where the browser does not know it', async () => {
  noteServerTime(START_MS + 5 * MINUTE);
  await look('&last=15m', 5);
  noteServerTime(0);
  expect(Number(densities[0]!.searchParams.get('until_ms'))).toBeGreaterThan(START_MS + 5 * MINUTE);
});

it('asks nothing while nobody looks', async () => {
  isCalling = true;
  await look('&last=15m', 15);
  const before = densities.length;
  vi.setSystemTime(Date.now() + 11 * MINUTE);
  await pass(30);
  expect(densities).toHaveLength(before);
});

it('has the UTC of every time: of its range, and of what is pointed at', async () => {
  const [since, until] = [START_MS - 60 * MINUTE, START_MS];
  await look(`&since=${since}&until=${until}`, 5);
  const titles = (within: string) =>
    [...on.host.querySelectorAll(`${within} time`)].map((one) => one.getAttribute('title'));
  expect(titles('header')).toEqual([utc(since), utc(until)]);
  // In the middle of the strip, which is 800 wide and has 40 for numbers on its left.
  const clientX = 40 + 760 / 2 + 1;
  act(() => {
    on.host.querySelector('.strip svg')!.dispatchEvent(new MouseEvent('pointermove', { clientX, bubbles: true }));
  });
  expect(on.host.querySelector('.strip-hover')!.textContent).toContain(utc(STEP.start_ms));
  act(() => {
    on.host.querySelector('header time')!.dispatchEvent(new MouseEvent('pointerover', { bubbles: true }));
  });
  expect(titles('header')[0]).toBe(`${utc(since)}\n1 h ago`);
});

const strip = () => on.host.querySelector('.strip svg')!;
const drawn = () => strip().getAttribute('aria-label');
const turn = (deltaY: number) =>
  act(() => void strip().dispatchEvent(new WheelEvent('wheel', { deltaY, clientX: 420, bubbles: true })));

it('asks once for a wheel that is turned by ten notches, and draws each of them', async () => {
  await look('', 5);
  const [before, seen] = [on.address, new Set([drawn()])];
  on.asked = [];
  for (let notch = 0; notch < 10; notch += 1) {
    turn(-100);
    seen.add(drawn());
    await act(() => vi.advanceTimersByTimeAsync(100));
  }
  expect(seen.size).toBe(11);
  expect(on.address).toBe(before);
  expect(on.asked.filter(({ pathname }) => pathname !== '/api/v1/timeline')).toEqual([]);
  await act(() => vi.advanceTimersByTimeAsync(200));
  expect(densities).toHaveLength(2);
  const [since, until] = ['since_ms', 'until_ms'].map((name) => Number(densities[1]!.searchParams.get(name)));
  expect((until! - since!) / (24 * 60 * MINUTE)).toBeCloseTo(0.8 ** 10, 3);
  expect(new URLSearchParams(on.address).get('since')).toBe(String(since));
});

it('goes back to the range before a zoom, and to the one before a preset', async () => {
  await look('', 5);
  const first = on.address;
  turn(-100);
  await pass(5);
  const zoomed = on.address;
  const button = [...on.host.querySelectorAll('button')].find((one) => one.textContent === '15m')!;
  act(() => button.click());
  await pass(5);
  expect(on.address).toContain('last=15m');
  act(() => on.back());
  await pass(5);
  expect(on.address).toBe(zoomed);
  act(() => on.back());
  await pass(5);
  expect(on.address).toBe(first);
});

it('takes a preset although a wheel was turned just before', async () => {
  await look('', 5);
  turn(-100);
  const button = [...on.host.querySelectorAll('button')].find((one) => one.textContent === '15m')!;
  act(() => button.click());
  await pass(5);
  expect(on.address).toContain('last=15m');
  expect(on.address).not.toContain('since=');
});

it('says that a filter is not for what is drawn', async () => {
  await look('', 5);
  expect(on.host.textContent).not.toContain('All calls are drawn');
  on.leave();
  await look('&q=status:403', 5);
  expect(on.host.textContent).toContain('All calls are drawn; the filter is for the list below.');
});
