import { expect, it } from 'vitest';

import { accountsOf, lagMsOf, stateOf, troubleOf, troubleWords } from './serviceState';

const NOW = 10_000_000;
const service = (more: object) =>
  ({ kind: 'collector', revoked_ms: null, seen_ms: NOW, heartbeat: null, ...more }) as never;

it.each([
  ['answers', { seen_ms: NOW - 59_000 }, 'good'],
  ['silent', { seen_ms: NOW - 61_000 }, 'danger'],
  ['at rest', { seen_ms: NOW - 61_000, kind: 'function' }, ''],
  ['never seen', { seen_ms: null }, 'warning'],
  ['revoked', { revoked_ms: 1, seen_ms: NOW }, ''],
])('says that a service is %s', (words, of, looks) => {
  expect(stateOf(service(of), NOW)).toEqual([looks, words]);
});

it('says what became of its calls, and what kept it', () => {
  const heartbeat = {
    status: {
      spool: { lag_seconds: 3 },
      accounts: { received: 1200, shipped: 1100, spooled: 90, in_hand: 0, rejected: { a: 4, b: 5 }, dropped: { c: 1 } },
      link: { last_trouble: { since_ms: 1000, until_ms: 6000, seen: 'the platform does not answer' } },
    },
  };
  const of = service({ heartbeat });
  expect(lagMsOf(of)).toBe(3000);
  expect(accountsOf(of)).toBe('1,200 received, 1,100 shipped, 90 in its spool, 9 rejected, 1 dropped');
  expect(troubleWords(troubleOf(of)!)).toBe('the platform does not answer, for 5 s');
});

it.each([
  [null],
  [{}],
  [{ status: 'fine' }],
  [{ status: { spool: null, accounts: [], link: { last_trouble: null } } }],
])('takes from %j nothing that is not there', (heartbeat) => {
  const of = service({ heartbeat });
  expect([lagMsOf(of), accountsOf(of), troubleOf(of)]).toEqual([undefined, undefined, undefined]);
});
