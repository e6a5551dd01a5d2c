import { expect, it } from 'vitest';

import type { AuditLine } from '../../api/types';
import { happenings } from './history';

const line = (number: number, at_ms: number, what: string, detail = ''): AuditLine => ({
  number,
  at_ms,
  what,
  detail,
  by: 'person:anna',
  log: 'decisions',
  subject: 'al_1',
  hash: '',
});

it('puts comments between decisions, the newest first, and says each once', () => {
  const lines = [
    line(4, 40, 'resolved', 'over'),
    line(3, 20, 'commented'),
    line(2, 20, 'commented'),
    line(1, 10, 'assigned', 'to bob'),
  ];
  const comments = [
    { at_ms: 20, by: 'person:anna', text: 'first' },
    { at_ms: 20, by: 'person:bob', text: 'second' },
  ];
  const said = happenings(lines, comments).map(({ what, words }) => `${what ?? 'says'} ${words}`);
  expect(said).toEqual(['resolved over', 'says second', 'says first', 'assigned to bob']);
});
