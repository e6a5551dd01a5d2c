import { act } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
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

const BUSY = ['consumer:mallory', 'consumer:bob'];

const on = stage({
  answer: ({ pathname, searchParams }) =>
    pathname === '/api/v1/timeline/density'
      ? Response.json({
          step_ms: STEP_MS,
          since_ms: RANGE.since,
          until_ms: RANGE.until,
          steps: STEPS[searchParams.get('entity')!] ?? [],
        })
      : Response.json({
          items: pathname.endsWith('/completions') ? BUSY.map((search) => ({ search, words: '' })) : [],
        }),
});
beforeEach(() => void vi.useFakeTimers({ now: RANGE.until }));
afterEach(() => void vi.useRealTimers());

async function draw(kind: 'consumer' | 'ip' | 'network' | 'business', value: string, peer = '') {
  const strips = (
    <DensityStrips
      whom={{ kind, value }}
      name={value.replace('id-', '')}
      range={RANGE}
      shown={RANGE}
      asOf={1}
      asOfPeer={1}
      setRange={() => undefined}
    />
  );
  on.draw(strips, `/timeline?peer=${peer}`);
  for (let times = 0; times < 10; times += 1) await act(() => vi.advanceTimersByTimeAsync(1));
}

const tallest = () =>
  [...on.host.querySelectorAll('.strip')].map((strip) => strip.querySelector('.strip-text')!.textContent);

it('draws both on one scale', async () => {
  await draw('consumer', 'mallory', 'bob');
  expect(tallest()).toEqual(['400', '400']);
});

it('draws one on its own scale', async () => {
  await draw('consumer', 'bob');
  expect(tallest()).toEqual(['20']);
});

it('says how many calls and errors both have', async () => {
  await draw('consumer', 'mallory', 'bob');
  expect(on.host.textContent).toContain('This consumer: 400 calls, 10 % errors, 1 % refused by outrider');
  expect(on.host.textContent).toContain('bob: 20 calls, 5 % errors. Both have one scale.');
  on.leave();
  await draw('consumer', 'mallory', 'nobody');
  expect(on.host.textContent).toContain('nobody: no calls');
});

it('points at the same moment in both', async () => {
  await draw('consumer', 'mallory', 'bob');
  act(() => {
    on.host.querySelector('.strip svg')!.dispatchEvent(new MouseEvent('pointermove', { clientX: 60, bubbles: true }));
  });
  const cursors = [...on.host.querySelectorAll('.strip-cursor')].map((line) => Number(line.getAttribute('x1')));
  expect(cursors.map(Math.round)).toEqual([60, 60]);
  expect([...on.host.querySelectorAll('.strip-hover')].map((one) => one.textContent)).toEqual([
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
  const completions = on.asked.filter((url) => url.pathname.endsWith('/completions'));
  expect(completions.map((url) => url.searchParams.get('q'))).toEqual([q]);
});

it('offers nobody as a peer of themselves, by an id or a name', async () => {
  await draw('consumer', 'id-mallory');
  act(() => on.host.querySelector<HTMLElement>('[aria-label="Compare with"]')!.click());
  await act(() => vi.advanceTimersByTimeAsync(1));
  expect([...document.querySelectorAll('[role=option]')].map((one) => one.textContent)).toEqual(['bob']);
});

it('offers no peers of a business entity: no search tells them', async () => {
  await draw('business', 'merchant_id:4711');
  expect(on.asked.filter((url) => url.pathname.endsWith('/completions'))).toEqual([]);
});
