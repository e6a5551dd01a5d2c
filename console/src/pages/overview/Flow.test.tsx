import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Status } from '../../api/status';
import { stage } from '../../testing';
import { Flow } from './Flow';

const NOW = 1_795_862_400_000;
const SECOND = 1000;

const on = stage();
beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

const draw = (status: Partial<Status>) => on.draw(<Flow status={{ notices: [], read_ms: NOW, ...status }} />);

/** What a station says: its state, then its facts. */
function said(station: string): string[] {
  const card = [...on.host.querySelectorAll('.station')].find(
    (one) => one.querySelector('h2')?.textContent === station,
  )!;
  return [...card.querySelectorAll('.station-state, dt, dd')].map((part) => part.textContent ?? '');
}

const source = (lastReceivedMs: number) => ({
  name: 'kong_tcp_log',
  counters: { received: 1234, connections_open: 4, health: { last_received_ms: lastReceivedMs } },
});
const collector = (silentSeconds: number, status: object) => ({
  name: 'edge',
  kind: 'collector',
  is_connected: silentSeconds < 45,
  silent_seconds: silentSeconds,
  clock_ahead_ms: 0,
  status,
});

it('shows what services elsewhere do', () => {
  draw({
    services: [
      collector(3, {
        sources: [source(NOW - 4 * SECOND)],
        spool: { records_waiting: 9, waiting_since_ms: NOW - 33 * SECOND },
      }),
      {
        name: 'arm',
        kind: 'responder',
        is_connected: true,
        silent_seconds: 1,
        status: { responders: [{ gateway: 'kong', own_plugins: 3, listed_ms: NOW - SECOND }] },
      },
    ],
  });
  expect(said('Gateways')).toContain('sending');
  expect(said('Collector').slice(0, 3)).toEqual(['shipping late', 'lines', '1,234']);
  expect(said('Collector')).toContain('30 s');
  expect(said('Responder')[0]).toBe('in step');
  expect(on.host.querySelector('.flow')!.textContent).toContain('3 held');
});

it('says which collector is silent and since when, and nothing of its gateways', () => {
  draw({ services: [collector(120, { sources: [source(NOW - 121 * SECOND)] })] });
  expect(said('Gateways')[0]).toBe('not known');
  expect(said('Collector').slice(0, 2)).toEqual(['silent', 'edge silent']);
  const since = new Date(NOW - 120 * SECOND).toISOString();
  expect(on.host.querySelector(`time[datetime="${since}"]`)).not.toBeNull();
});

it.each([
  [59, 'sending'],
  [61, 'silent'],
])('says of gateways that were last heard %s s before the reading: %s', (seconds, state) => {
  draw({ sources: [source(NOW - seconds * SECOND)] });
  expect(said('Gateways')[0]).toBe(state);
});

it('leaves gateways as they were read while nobody looks, whatever time it is', () => {
  vi.setSystemTime(NOW + 3_600_000);
  draw({ sources: [source(NOW - SECOND)] });
  expect(said('Gateways')[0]).toBe('sending');
});
