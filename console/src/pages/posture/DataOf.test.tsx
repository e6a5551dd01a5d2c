import { expect, it } from 'vitest';

import type { DataClassCount, EndpointInventory } from '../../api/types';
import { stage } from '../../testing';
import { DataOf } from './DataOf';

const on = stage({
  answer: ({ pathname }) =>
    pathname.endsWith('/configuration')
      ? Response.json({ configuration: { consumers: [{ id: 'c-1', username: 'alice' }] } })
      : undefined,
});

const EMAIL: DataClassCount = {
  location: 'query',
  name: 'mail',
  class: 'email',
  values: 40,
  of: 50,
  replaced: 20,
  distinct: 12,
  confidence_percent: 98,
  is_decided: true,
  first_seen_ms: 1,
  last_seen_ms: 2,
  calls_since: 0,
};
const KNOWN = {
  read: 50,
  data_classes: [] as DataClassCount[],
  class_senders: [],
  unread_bodies: null,
} as unknown as EndpointInventory;
const show = (known: Partial<EndpointInventory>) => on.show(<DataOf known={{ ...KNOWN, ...known }} gateway="kong" />);

it('says of each class in which parameter it is and how often, and what is not decided last', async () => {
  await show({ data_classes: [{ ...EMAIL, class: 'phone', is_decided: false }, EMAIL] });
  const rows = [...on.host.querySelectorAll('[aria-label="Data classes"] .table-row')];
  expect(
    rows.map((row) => [...row.querySelectorAll('[role=cell]')].slice(0, 5).map((cell) => cell.textContent.trim())),
  ).toEqual([
    ['email', 'query', 'mail', '40 of 50', '50 %'],
    ['phone perhaps', 'query', 'mail', '40 of 50', '50 %'],
  ]);
});

it('names who sent it, as the gateway’s configuration does', async () => {
  await show({
    data_classes: [EMAIL],
    class_senders: [
      { class: 'email', consumer: 'c-1', values: 30 },
      { class: 'email', consumer: 'c-2', values: 10 },
    ],
  });
  const senders = [...on.host.querySelectorAll('.senders a')].map((one) => one.textContent);
  expect(senders).toEqual(['alice', 'c-2']);
});

it('says what is not seen, and how to have it seen', async () => {
  await show({
    unread_bodies: {
      requests: true,
      responses: true,
      why: 'Kong logs no bodies',
      pre_function: 'local ok',
      custom_field: '"body.email": "x"',
      mapping: '[[collector.sources.fields]]\n',
    },
  });
  expect(on.host.textContent).toContain('No class of data was seen');
  expect(on.host.querySelector('[role=note]')!.textContent).toBe(
    'Not seen: the bodies of its requests and answers. Kong logs no bodies.',
  );
  expect([...on.host.querySelectorAll('.command code')].map((one) => one.textContent)).toEqual([
    'local ok',
    '"body.email": "x"',
    '[[collector.sources.fields]]',
  ]);
});
