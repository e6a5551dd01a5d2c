import { expect, it } from 'vitest';

import { canBeMerged, type Correction, decisionOf, isParameter, segmentsOf, willHappen } from './correcting';

const TEMPLATE = '/users/{user_id}/reports/{report_id}.csv';
const KEY = { gateway: 'kong', workspace: 'w', service: 's', method: 'GET', template: TEMPLATE };
const [, user, reports] = segmentsOf(TEMPLATE);

it('decides about whole segments alone', () => {
  const segments = segmentsOf(TEMPLATE);
  expect(segments.filter(isParameter).map(({ parameter }) => parameter)).toEqual(['user_id']);
  expect(segments.filter(canBeMerged).map(({ text }) => text)).toEqual(['users', '{user_id}', 'reports']);
  expect(segmentsOf('/')).toEqual([]);
  expect(segmentsOf('/mcp#tools/list').map(({ text }) => text)).toEqual(['mcp']);
});

const CASES: [Correction, string, object][] = [
  [{ kind: 'rename', segment: user!, name: 'login' }, '/users/{user_id}', { rename: { parameter: 'login' } }],
  [{ kind: 'split', segment: user!, value: 'me' }, '/users/{user_id}', { split: { value: 'me' } }],
  [{ kind: 'merge', segment: user!, name: 'user_id' }, '/users/{user_id}', { merge: { values: [] } }],
  [{ kind: 'merge', segment: reports!, name: 'what' }, '/users/{user_id}/{what}', { merge: { values: [] } }],
  [{ kind: 'pin', method: 'GET' }, TEMPLATE, { pin: { method: 'GET' } }],
  [{ kind: 'ignore', method: null }, TEMPLATE, { ignore: { method: null } }],
];

it.each(CASES)('writes the template up to what is meant: %o', (correction, template, change) => {
  expect(decisionOf({ key: KEY }, correction)).toEqual({
    gateway: 'kong',
    workspace: 'w',
    service: 's',
    template,
    change,
    origin: 'operator',
  });
});

it('says what will happen, also while a word is missing', () => {
  expect(willHappen({ kind: 'split', segment: user!, value: 'me' }, TEMPLATE)).toMatch(/^\/users\/me becomes/);
  expect(willHappen({ kind: 'split', segment: user!, value: '' }, TEMPLATE)).toMatch(/^\/users\/… becomes/);
  expect(willHappen({ kind: 'ignore', method: 'GET' }, TEMPLATE)).toMatch(/^Every GET call under/);
  expect(willHappen({ kind: 'ignore', method: null }, TEMPLATE)).toMatch(/^Every call under/);
});
