import { QueryClient } from '@tanstack/react-query';
import { beforeEach, expect, it } from 'vitest';

import type { Endpoint, EndpointInventory, ParameterInventory } from '../../api/types';
import { stage } from '../../testing';
import { Carries } from './Carries';

const PARAMETER: ParameterInventory = {
  location: 'query',
  name: 'limit',
  calls: 50,
  calls_ok: 50,
  repeated: 0,
  value_type: 'integer',
  format: null,
  kinds: [{ kind: 'integer', values: 50 }],
  range: { least: 1, most: 100 },
  values: [],
  values_are_all: false,
  first_seen_ms: 1,
  last_seen_ms: 2,
};

const KNOWN: EndpointInventory = {
  endpoint: 'ep_1',
  calls: 420,
  known: 400,
  read: 200,
  read_ok: 190,
  first_seen_ms: 1,
  last_seen_ms: 2,
  statuses: [
    { status: 200, calls: 300 },
    { status: 404, calls: 100 },
  ],
  auth: [{ kind: 'key', calls: 400, calls_ok: 300 }],
  key_carrier: { location: 'header', name: 'x-api-key' },
  consumers: 7,
  request_bytes: { p50: 200, p95: 220, p99: 230, max: 400 },
  response_bytes: null,
  latency_ms: { p50: 12, p95: 90, p99: 1500, max: 2000 },
  media_types: [
    { name: 'application/json', measured: 30 },
    { name: 'text/csv', measured: 10 },
  ],
  routes: [{ name: 'route-id', calls: 400 }],
  parameters: [
    { ...PARAMETER, location: 'path', name: 'order_id', calls: 20, value_type: 'string', format: 'uuid', range: null },
    PARAMETER,
    { ...PARAMETER, name: 'sort', value_type: 'string', range: null, values: ['asc', 'desc'], repeated: 3 },
  ],
  versions: ['v2'],
  signs: [],
  jwt_lifetime_s: null,
  data_classes: [],
  class_senders: [],
  risk: null,
  unread_bodies: null,
};

let known: EndpointInventory | undefined;
const on = stage({
  answer: ({ pathname }) => {
    if (pathname.endsWith('/configuration'))
      return Response.json({ configuration: { routes: [{ id: 'route-id', name: 'orders' }] } });
    if (known) return Response.json(known);
    return Response.json({ type: 'problem', status: 404, detail: 'no such inventory' }, { status: 404 });
  },
  makeClient: () => new QueryClient({ defaultOptions: { queries: { retry: false } } }),
});
beforeEach(() => {
  known = KNOWN;
});

const ENDPOINT = { id: 'ep_1', key: { gateway: 'kong' } } as Endpoint;
const show = () => on.show(<Carries endpoint={ENDPOINT} />);
const rows = () =>
  Array.from(on.host.querySelectorAll('[aria-label="Parameters"] .table-row'), (row) =>
    Array.from(row.querySelectorAll('[role=cell]'), (cell) => cell.textContent.trim()),
  );
const block = (title: string) =>
  Array.from(on.host.querySelectorAll('.carries > section')).find(
    (section) => section.querySelector('h3')!.textContent === title,
  )!;

it('says of each parameter where it is, of which type, in how many calls and with which values', async () => {
  await show();
  expect(rows()).toEqual([
    ['path', 'order_id', 'string · uuid', '100 %', '–'],
    ['query', 'limit', 'integer', '25 %', '1 – 100'],
    ['query', 'sort repeats', 'string', '25 %', 'ascdescand others'],
  ]);
  const bars = Array.from(
    on.host.querySelectorAll<HTMLElement>('[role=table] .presence > div'),
    (bar) => bar.style.width,
  );
  expect(bars).toEqual(['100%', '25%', '25%']);
});

it('says how it answers, how fast, and by which routes', async () => {
  await show();
  expect(block('Answers').textContent).toBe('Answers20075 %40425 %');
  expect(block('Routes').textContent).toContain('orders');
  // Few calls are measured, so that only shares say something.
  expect(block('Media types').textContent).toBe('Media typesapplication/json75 %text/csv25 %');
  expect(block('Media types').querySelector('li')!.title).toBe('30 calls of those that were measured');
  expect(block('Version').textContent).toContain('v2');
  const latency = block('Latency and sizes').querySelectorAll('tbody tr');
  expect(Array.from(latency, (row) => row.textContent)).toEqual([
    'Latency12 ms90 ms1,500 ms2,000 ms',
    'Request200 B220 B230 B400 B',
    'Answer––––',
  ]);
});

it('lets stand out that some get in without authentication', async () => {
  await show();
  expect(on.host.querySelector('.tag')).toBeNull();
  expect(block('Authentication').textContent).toContain('x-api-key');
  on.leave();
  on.client.clear();
  known = { ...KNOWN, auth: [...KNOWN.auth, { kind: 'none', calls: 30, calls_ok: 12 }] };
  await show();
  expect(on.host.querySelector('.tag.danger')!.textContent).toBe('some without authentication');
  expect(block('Authentication').querySelector('[role=note]')!.textContent).toMatch(/^12 calls with nothing/);
});

it('warns of two ways, and not of calls that were refused', async () => {
  known = {
    ...KNOWN,
    auth: [
      { kind: 'key', calls: 10, calls_ok: 10 },
      { kind: 'jwt', calls: 10, calls_ok: 10 },
    ],
  };
  await show();
  expect(on.host.querySelector('.tag.warning')!.textContent).toBe('mixed');
  on.leave();
  on.client.clear();
  known = { ...KNOWN, auth: [...KNOWN.auth, { kind: 'none', calls: 30, calls_ok: 0 }] };
  await show();
  expect(on.host.querySelector('.tag')).toBeNull();
});

it('takes what is not known for no other way', async () => {
  const unknown = { kind: 'unknown', calls: 3, calls_ok: 3 } as const;
  known = { ...KNOWN, auth: [...KNOWN.auth, unknown] };
  await show();
  expect(on.host.querySelector('.tag')).toBeNull();
  expect(block('Authentication').textContent).toContain('Not known what');
  on.leave();
  on.client.clear();
  known = { ...KNOWN, auth: [...KNOWN.auth, { kind: 'jwt', calls: 10, calls_ok: 10 }, unknown] };
  await show();
  expect(on.host.querySelector('.tag.warning')!.textContent).toBe('mixed');
});

it('says when it will be known where nothing is', async () => {
  known = undefined;
  await show();
  expect(on.host.querySelector('[role=alert]')).toBeNull();
  expect(on.host.textContent).toContain('known some minutes after its first calls');
});
