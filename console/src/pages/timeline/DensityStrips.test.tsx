import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stubBrowser, unstubBrowser } from '../../testing';
import { DensityStrips } from './DensityStrips';

const STEP_MS = 60_000;
const START_MS = 1_795_862_340_000;
const RANGE = { since: START_MS, until: START_MS + 10 * STEP_MS };

const step = (calls: number, client_errors: number, refused = 0) => ({
  start_ms: START_MS,
  calls,
  client_errors,
  server_errors: 0,
  refused,
});
const STEPS: Record<string, object[]> = { mallory: [step(400, 40, 4)], bob: [step(20, 1)] };

let host: HTMLElement;
let asked: URL[];
let unmount: () => void;

function answer(url: URL): Response {
  asked.push(url);
  switch (url.pathname) {
    case '/api/v1/timeline/density':
      return Response.json({
        step_ms: STEP_MS,
        since_ms: RANGE.since,
        until_ms: RANGE.until,
        steps: STEPS[url.searchParams.get('entity')!] ?? [],
      });
    default:
      return Response.json({ items: [] });
  }
}

beforeEach(() => {
  vi.useFakeTimers({ now: RANGE.until });
  stubBrowser();
  vi.stubGlobal('fetch', (request: Request) => Promise.resolve(answer(new URL(request.url))));
  asked = [];
  host = document.createElement('div');
  document.body.append(host);
});
afterEach(() => {
  act(() => unmount());
  host.remove();
  vi.useRealTimers();
  unstubBrowser();
});

async function draw(kind: 'consumer' | 'ip' | 'network' | 'business', value: string, peer = '') {
  const root = createRoot(host);
  unmount = () => root.unmount();
  await act(async () => {
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={new QueryClient()}>
          <MemoryRouter initialEntries={[`/timeline?peer=${peer}`]}>
            <DensityStrips
              whom={{ kind, value }}
              range={RANGE}
              shown={RANGE}
              asOf={1}
              asOfPeer={1}
              setRange={() => undefined}
            />
          </MemoryRouter>
        </QueryClientProvider>
      </MantineProvider>,
    );
    await vi.advanceTimersByTimeAsync(0);
  });
  for (let times = 0; times < 10; times += 1) await act(() => vi.advanceTimersByTimeAsync(1));
}

const tallest = () =>
  [...host.querySelectorAll('.strip')].map((strip) => strip.querySelector('.strip-text')!.textContent);

it('draws both on one scale', async () => {
  await draw('consumer', 'mallory', 'bob');
  expect(tallest()).toEqual(['500', '500']);
});

it('draws one on its own scale', async () => {
  await draw('consumer', 'bob');
  expect(tallest()).toEqual(['20']);
});

it('says how many calls and errors both have', async () => {
  await draw('consumer', 'mallory', 'bob');
  expect(host.textContent).toContain('This consumer: 400 calls, 10 % errors, 1 % refused by outrider');
  expect(host.textContent).toContain('bob: 20 calls, 5 % errors. Both have one scale.');
  act(() => unmount());
  await draw('consumer', 'mallory', 'nobody');
  expect(host.textContent).toContain('nobody: no calls');
});

it('points at the same moment in both', async () => {
  await draw('consumer', 'mallory', 'bob');
  act(() => {
    host.querySelector('.strip svg')!.dispatchEvent(new MouseEvent('pointermove', { clientX: 60, bubbles: true }));
  });
  const cursors = [...host.querySelectorAll('.strip-cursor')].map((line) => Number(line.getAttribute('x1')));
  expect(cursors.map(Math.round)).toEqual([60, 60]);
  expect([...host.querySelectorAll('.strip-hover')].map((one) => one.textContent)).toEqual([
    expect.stringContaining('356'),
    expect.stringContaining('19'),
  ]);
});

it.each([
  ['consumer', 'alice', 'consumer:'],
  ['ip', '192.0.2.1', 'ip:'],
  ['network', '64496', 'asn:'],
] as const)('offers the busiest peers of a %s', async (kind, value, q) => {
  await draw(kind, value);
  const completions = asked.filter((url) => url.pathname.endsWith('/completions'));
  expect(completions.map((url) => url.searchParams.get('q'))).toEqual([q]);
});

it('offers no peers of a business entity: no search tells them', async () => {
  await draw('business', 'merchant_id:4711');
  expect(asked.filter((url) => url.pathname.endsWith('/completions'))).toEqual([]);
});
