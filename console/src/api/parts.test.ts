import { describe, expect, it } from 'vitest';

import { partsOf } from './parts';
import { isUntouched, type Status } from './status';

const NOW = 1_795_862_400_000;

const SOURCE = {
  name: 'kong_tcp_log 127.0.0.1:9519',
  counters: {
    received: 100,
    accepted: 97,
    untrusted: 1,
    connections_open: 4,
    dropped: { full: 2 },
    rejected: { not_json: 2, too_long: 1 },
    health: { last_received_ms: NOW - 2000 },
  },
};
const RESPONDER = { gateway: 'kong', failure: null, listed_ms: NOW - 3000, own_plugins: 2, written: 5, deleted: 3 };
const CONFIGURATION = { gateway: 'kong', read_ms: NOW - 60_000, failure: null };

const COLLECTOR = {
  name: 'edge-collector',
  kind: 'collector',
  gateways: ['kong'],
  is_connected: true,
  silent_seconds: 4,
  clock_ahead_ms: 30_000,
  status: {
    sources: [
      {
        ...SOURCE,
        counters: { ...SOURCE.counters, health: { last_received_ms: NOW + 25_000 } },
      },
    ],
    spool: { bytes: 4096, records_waiting: 7, waiting_since_ms: NOW + 14_000, dropped_calls: 9 },
  },
};
const AWAY = {
  name: 'edge-responder',
  kind: 'responder',
  is_connected: false,
  silent_seconds: 90,
  clock_ahead_ms: 0,
  status: { responders: [RESPONDER], configurations: [CONFIGURATION] },
};

const status = (parts: Record<string, unknown>): Status => ({ notices: [], read_ms: NOW, ...parts });

describe('the parts of outrider', () => {
  it('are in one process', () => {
    const parts = partsOf(
      status({ sources: [SOURCE], responders: [RESPONDER], configurations: [CONFIGURATION], services: null }),
    );
    expect(parts.sources).toEqual([
      {
        service: undefined,
        isSilent: false,
        name: SOURCE.name,
        connections_open: 4,
        received: 100,
        accepted: 97,
        untrusted: 1,
        dropped: 2,
        rejected: 3,
        last_received_ms: NOW - 2000,
        as_of_ms: NOW,
      },
    ]);
    expect(parts.responders).toMatchObject([{ gateway: 'kong', own_plugins: 2, written: 5, listed_ms: NOW - 3000 }]);
    expect(parts.configurations).toMatchObject([{ gateway: 'kong', read_ms: NOW - 60_000, failure: undefined }]);
    expect([parts.spools, parts.silent]).toEqual([[], []]);
  });

  it('are three services, each with the time by its own clock', () => {
    const services = [COLLECTOR, { ...AWAY, is_connected: true, silent_seconds: 1 }];
    const parts = partsOf(status({ sources: [], responders: [], configurations: [], services }));
    expect(parts.sources).toMatchObject([
      { service: 'edge-collector', received: 100, last_received_ms: NOW - 5000, as_of_ms: NOW - 4000 },
    ]);
    expect(parts.spools).toEqual([
      {
        service: 'edge-collector',
        isSilent: false,
        bytes: 4096,
        records_waiting: 7,
        dropped_calls: 9,
        lag_ms: 12_000,
      },
    ]);
    expect(parts.responders).toMatchObject([{ service: 'edge-responder', gateway: 'kong', own_plugins: 2 }]);
    expect(parts.configurations).toMatchObject([{ gateway: 'kong' }]);
    expect(parts.silent).toEqual([]);
  });

  it('are silent since a moment, and what they said before is kept', () => {
    const parts = partsOf(status({ services: [COLLECTOR, AWAY] }));
    expect(parts.silent).toEqual([{ name: 'edge-responder', kind: 'responder', since_ms: NOW - 90_000 }]);
    expect(parts.responders).toMatchObject([{ isSilent: true, own_plugins: 2 }]);
  });

  it('are not silent before they ever spoke', () => {
    const never = { name: 'new', kind: 'collector', is_connected: false, silent_seconds: null, status: null };
    expect(partsOf(status({ services: [never] }))).toEqual(partsOf(status({})));
  });

  it('count once for a gateway that another responder took over', () => {
    const other = { ...AWAY, name: 'other', is_connected: true, silent_seconds: 1 };
    const later = { responders: [{ ...RESPONDER, listed_ms: NOW, own_plugins: 1 }], configurations: [CONFIGURATION] };
    const parts = partsOf(status({ services: [{ ...other, status: later }, AWAY] }));
    expect(parts.responders).toMatchObject([{ service: 'other', own_plugins: 1 }]);
    expect(parts.configurations).toHaveLength(1);
  });

  it.each<[string, unknown]>([
    ['no list', 'services'],
    ['no objects', [null, 7, 'x', []]],
    ['no name', [{ ...COLLECTOR, name: 7 }]],
    ['no status', [{ ...COLLECTOR, status: null }]],
    ['a status of other types', [{ ...COLLECTOR, status: { sources: 'x', spool: 7, responders: { a: 1 } } }]],
    ['parts without names', [{ ...COLLECTOR, status: { sources: [{}], responders: [{}], configurations: [null] } }]],
  ])('are left out where they are %s', (_, services) => {
    expect(partsOf(status({ services }))).toEqual(partsOf(status({})));
  });

  it('have zero for numbers that are none', () => {
    const counters = { received: 'many', dropped: [null, 'x', 3], rejected: null, health: 7 };
    const services = [{ ...COLLECTOR, status: { sources: [{ name: 'x', counters }] } }];
    expect(partsOf(status({ services })).sources).toMatchObject([
      { received: 0, dropped: 3, rejected: 0, last_received_ms: 0 },
    ]);
  });

  it('say whether any call ever came', () => {
    expect(isUntouched(status({}))).toBe(true);
    expect(isUntouched(status({ sources: [SOURCE] }))).toBe(false);
    expect(isUntouched(status({ services: [COLLECTOR] }))).toBe(false);
  });
});
