import { expect, it } from 'vitest';

import { stage } from '../../testing';
import { NEW_POLICY } from './sentence';
import { SPIKE } from './testing';
import { WouldHave } from './WouldHave';

const NOW = Date.now();
const MINUTE = 60_000;

const finding = (id: string, minutesAgo: number, value: string, kind = 'consumer') => ({
  ...SPIKE,
  id,
  entity: { kind, label: value, value, gateway: 'kong', workspace: 'default' },
  event_ms: NOW - minutesAgo * MINUTE,
  raised_ms: NOW - minutesAgo * MINUTE,
  sentence: '',
});

let findings: object[];
const on = stage({
  answer: ({ pathname }) =>
    pathname === '/api/v1/findings' ? Response.json({ items: findings, next: null }) : undefined,
});
const said = () => on.host.textContent;

it('says how often it would have acted, about whom and when', async () => {
  findings = [
    finding('1', 100, 'mallory'),
    finding('2', 95, 'mallory'),
    finding('3', 50, 'mallory'),
    finding('4', 40, 'bob'),
    finding('5', 30, '203.0.113.7', 'ip'),
  ];
  await on.show(<WouldHave policy={NEW_POLICY} />);
  expect(said()).toContain('5 of 5 findings fit, of at least 3 alerts, about 3 entities.');
  expect(said()).toContain(
    'it would have blocked 2 consumers, 3 times, for 15 minutes. 1 finding would have led to nothing',
  );
  const items = [...on.host.querySelectorAll('li')];
  const listed = items.map((item) => item.textContent);
  expect(listed.map((text) => /bob|mallory/.exec(text)?.[0])).toEqual(['bob', 'mallory', 'mallory']);
  const times = items.map((item) => item.querySelector('time')!.dateTime);
  expect(times).toEqual([40, 50, 100].map((ago) => new Date(NOW - ago * MINUTE).toISOString()));
});

it('says that it would have done nothing', async () => {
  findings = [finding('5', 30, '203.0.113.7', 'ip')];
  await on.show(<WouldHave policy={{ ...NEW_POLICY, scope: 'route' }} />);
  expect(said()).toContain('it would have blocked nobody.');
  expect(said()).toContain('and this one only the route where it happened.');
});
