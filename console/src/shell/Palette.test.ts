import { expect, it } from 'vitest';

import type { Role } from '../api/types';
import { choicesFor } from './Palette';

it.each<[Role, boolean]>([
  ['viewer', false],
  ['analyst', false],
  ['responder', true],
  ['admin', true],
])('offers a new policy to a %s: %s', (role, isOffered) => {
  for (const typed of ['', 'new pol']) {
    const names = choicesFor(typed, [], role).map((choice) => choice.name);
    expect(names.includes('New policy')).toBe(isOffered);
  }
  expect(choicesFor('', [], role).map((choice) => choice.name)).toContain('Audit log');
});
