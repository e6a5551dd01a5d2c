import { expect, it } from 'vitest';

import type { TemplateEffect } from '../../api/types';
import { sorted, summary, tagOf } from './effects';

const EFFECTS: TemplateEffect[] = [
  { kind: 'awaited', method: null, template: '/users/me' },
  { kind: 'renamed', endpoint: 'ep_1', method: 'GET', before: '/users/{id}', after: '/users/{login}' },
  { kind: 'vanished', endpoint: 'ep_2', method: 'GET', before: '/users/{id}/old' },
  { kind: 'renamed', endpoint: 'ep_3', method: 'PUT', before: '/users/{id}', after: '/users/{login}' },
];

it('puts first what takes the most away, and keeps the order of others', () => {
  const told = sorted(EFFECTS).map((effect) => `${effect.kind} ${'endpoint' in effect ? effect.endpoint : ''}`);
  expect(told).toEqual(['vanished ep_2', 'renamed ep_1', 'renamed ep_3', 'awaited ']);
});

it.each([
  [EFFECTS, 0, 'Of the endpoints 1 leaves, 2 are renamed, 1 comes with the first call.'],
  [EFFECTS.slice(1, 2), 7, 'Of the endpoints 1 is renamed. 7 more would change that are not listed.'],
  [[], 0, 'It would change no endpoint now.'],
])('sums up %j and %i more', (items, more, said) => {
  expect(summary({ items, more })).toBe(said);
});

it('names one that only a newer outrider knows', () => {
  expect(tagOf({ kind: 'frozen' } as unknown as TemplateEffect).tag).toBe('frozen');
});
