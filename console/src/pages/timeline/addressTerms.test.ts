import { expect, it } from 'vitest';

import { isTaken, termOf, toggled } from './addressTerms';

it('adds a value to the address, and takes it away again', () => {
  const before = new URLSearchParams('sort=opened&entity=bob');
  const term = termOf('entity', 'a&b');
  expect(isTaken(before, term)).toBe(false);
  const after = new URLSearchParams(toggled(before, term));
  expect([after.get('entity'), after.get('sort'), isTaken(after, term)]).toEqual(['a&b', 'opened', true]);
  expect(toggled(after, term)).toBe('sort=opened');
});
