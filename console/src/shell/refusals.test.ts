import { expect, it } from 'vitest';

import { refusalWords } from './refusals';

it('says what to do for words that it knows, and nothing that comes with the address', () => {
  expect(refusalWords('no_role')).toContain('Ask one of its admins');
  expect(refusalWords(null)).toBeUndefined();
  expect(refusalWords('constructor')).toBeUndefined();
  expect(refusalWords('Call +1 555 0100 to get in')).toBeUndefined();
});
