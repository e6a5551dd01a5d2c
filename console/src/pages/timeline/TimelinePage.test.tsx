import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter, useLocation, useNavigate } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { noteServerTime } from '../../live/clock';
import { utc } from '../../parts/words';
import { stubBrowser, unstubBrowser } from '../../testing';
import TimelinePage from './TimelinePage';

/** A step begins there, of a day's as well as of a quarter of an hour's. */
const START_MS = 1_795_862_340_000;
const [SECOND, MINUTE] = [1000, 60_000];

const STEP = { start_ms: START_MS - 30 * MINUTE, calls: 3, client_errors: 0, server_errors: 0, refused: 0 };

/** Whether mallory calls, once a second. */
let isCalling: boolean;
let calls: number;
let densities: URL[];
let asked: string[];
let client: QueryClient;
let host: HTMLElement;
let unmount: () => void;

function answer(url: URL): Response {
  asked.push(url.pathname);
  switch (url.pathname) {
    case '/api/v1/timeline/density':
      densities.push(url);
      return Response.json({ step_ms: 540_000, since_ms: 0, until_ms: 0, steps: [STEP] });
    case '/api/v1/timeline':
    case '/api/v1/search':
      return Response.json({ items: [call(calls)], next: null });
    default:
      return Response.json({ items: [], next: null });
  }
}

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
  stubBrowser();
  vi.stubGlobal('fetch', (request: Request) => Promise.resolve(answer(new URL(request.url))));
  isCalling = false;
  calls = 0;
  densities = [];
  asked = [];
  // As the console's own: what was asked for lately is not asked again only because it is shown again.
  client = new QueryClient({ defaultOptions: { queries: { staleTime: 10_000 } } });
  dispatchEvent(new Event('keydown'));
});
afterEach(() => {
  act(() => unmount());
  vi.useRealTimers();
  unstubBrowser();
});

let place = '';
let goBack: () => void;

function Address({ tell }: { tell: (address: string, back: () => void) => void }) {
  const navigate = useNavigate();
  const { search } = useLocation();
  useEffect(() => tell(search, () => void navigate(-1)));
  return null;
}

async function look(address: string, seconds: number) {
  host = document.createElement('div');
  const root = createRoot(host);
  unmount = () => root.unmount();
  await act(async () => {
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={client}>
          <MemoryRouter initialEntries={[`/timeline?kind=consumer&entity=mallory${address}`]}>
            <TimelinePage />
            <Address
              tell={(search, back) => {
                place = search;
                goBack = back;
              }}
            />
          </MemoryRouter>
        </QueryClientProvider>
      </MantineProvider>,
    );
    await vi.advanceTimersByTimeAsync(0);
  });
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
  client.setQueryData(['summary'], { calls: 7 });
  await pass(20);
  expect(densities).toHaveLength(1);
  client.setQueryData(['summary'], { calls: 8 });
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
  client.setQueryData(['summary'], { calls: 0 });
  const passing = setInterval(() => client.setQueryData(['summary'], { calls }), 5 * SECOND);
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
    [...host.querySelectorAll(`${within} time`)].map((one) => one.getAttribute('title'));
  expect(titles('header')).toEqual([utc(since), utc(until)]);
  // In the middle of the strip, which is 800 wide and has 40 for numbers on its left.
  const clientX = 40 + 760 / 2 + 1;
  act(() => {
    host.querySelector('.strip svg')!.dispatchEvent(new MouseEvent('pointermove', { clientX, bubbles: true }));
  });
  expect(host.querySelector('.strip-hover')!.textContent).toContain(utc(STEP.start_ms));
  act(() => {
    host.querySelector('header time')!.dispatchEvent(new MouseEvent('pointerover', { bubbles: true }));
  });
  expect(titles('header')[0]).toBe(`${utc(since)}\n1 h ago`);
});

const strip = () => host.querySelector('.strip svg')!;
const drawn = () => strip().getAttribute('aria-label');
const turn = (deltaY: number) =>
  act(() => void strip().dispatchEvent(new WheelEvent('wheel', { deltaY, clientX: 420, bubbles: true })));

it('asks once for a wheel that is turned by ten notches, and draws each of them', async () => {
  await look('', 5);
  const [before, seen] = [place, new Set([drawn()])];
  asked = [];
  for (let notch = 0; notch < 10; notch += 1) {
    turn(-100);
    seen.add(drawn());
    await act(() => vi.advanceTimersByTimeAsync(100));
  }
  expect(seen.size).toBe(11);
  expect(place).toBe(before);
  expect(asked.filter((path) => path !== '/api/v1/timeline')).toEqual([]);
  await act(() => vi.advanceTimersByTimeAsync(200));
  expect(densities).toHaveLength(2);
  const [since, until] = ['since_ms', 'until_ms'].map((name) => Number(densities[1]!.searchParams.get(name)));
  expect((until! - since!) / (24 * 60 * MINUTE)).toBeCloseTo(0.8 ** 10, 3);
  expect(new URLSearchParams(place).get('since')).toBe(String(since));
});

it('goes back to the range before a zoom, and to the one before a preset', async () => {
  await look('', 5);
  const first = place;
  turn(-100);
  await pass(5);
  const zoomed = place;
  const button = [...host.querySelectorAll('button')].find((one) => one.textContent === '15m')!;
  act(() => button.click());
  await pass(5);
  expect(place).toContain('last=15m');
  act(() => goBack());
  await pass(5);
  expect(place).toBe(zoomed);
  act(() => goBack());
  await pass(5);
  expect(place).toBe(first);
});

it('takes a preset although a wheel was turned just before', async () => {
  await look('', 5);
  turn(-100);
  const button = [...host.querySelectorAll('button')].find((one) => one.textContent === '15m')!;
  act(() => button.click());
  await pass(5);
  expect(place).toContain('last=15m');
  expect(place).not.toContain('since=');
});

it('says that a filter is not for what is drawn', async () => {
  await look('', 5);
  expect(host.textContent).not.toContain('All calls are drawn');
  act(() => unmount());
  await look('&q=status:403', 5);
  expect(host.textContent).toContain('All calls are drawn; the filter is for the list below.');
});
