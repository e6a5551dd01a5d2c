import { describe, expect, it } from 'vitest';

import { choices, type Lake, ofHunt, WORDS } from './schema';

const LAKE: Lake = {
  tables: [
    {
      name: 'calls',
      columns: [
        { name: 'consumer_id', type: 'text' },
        { name: 'status', type: 'integer' },
      ],
    },
    {
      name: 'alerts',
      columns: [
        { name: 'alert_id', type: 'text' },
        { name: 'status', type: 'text' },
      ],
    },
  ],
  functions: [{ name: 'date_bin', example: 'date_bin(interval, expression)', words: 'Rounds down.' }],
};

/** `|` is the caret. */
function offered(text: string, kind?: string): string[] {
  const found = choices(text.replace('|', ''), text.indexOf('|'), LAKE);
  return found.filter((choice) => kind === undefined || choice.kind === kind).map(({ label }) => label);
}

describe('what a statement may go on with', () => {
  it.each([
    ['columns of all tables, where none is named', 'SELECT |', ['consumer_id', 'status', 'alert_id']],
    ['of the table that is named before', 'SELECT 1 FROM calls WHERE |', ['consumer_id', 'status']],
    ['of the table that is named after', 'SELECT | FROM alerts', ['alert_id', 'status']],
  ])('columns: %s', (_, text, expected) => {
    expect(offered(text, 'column')).toEqual(expected);
  });

  it.each([
    ['behind FROM only tables', 'SELECT * FROM al|', ['calls', 'alerts']],
    ['behind JOIN too', 'select * from calls join |', ['calls', 'alerts']],
    ['behind a table its columns', 'SELECT alerts.| FROM calls, alerts', ['alert_id', 'status']],
    ['behind another name of a table', 'SELECT a.st| FROM alerts AS a', ['alert_id', 'status']],
    ['nothing behind a name that nobody has', 'SELECT b.| FROM alerts a', []],
  ])('%s', (_, text, expected) => {
    expect(offered(text)).toEqual(expected);
  });

  it('says how functions are called, and knows the words of SQL', () => {
    const found = choices('SELECT ', 7, LAKE);
    expect(found).toContainEqual({
      label: 'date_bin',
      kind: 'function',
      detail: '(interval, expression)',
      words: 'Rounds down.',
    });
    expect(found.map(({ label }) => label)).toEqual(expect.arrayContaining(WORDS));
  });
});

it('offers to a hunt the calls of its window, and nothing that it may not read', () => {
  const events = { name: 'events', columns: [{ name: 'path', type: 'text' }] };
  const hunt = ofHunt({ ...LAKE, tables: [...LAKE.tables, events] });
  const labels = (text: string) => choices(text, text.length, hunt).map(({ label }) => label);
  expect(labels('SELECT 1 FROM ')).toEqual(['window_calls', 'events']);
  expect(labels('SELECT 1 FROM window_calls WHERE window_calls.')).toEqual(['path']);
  expect(ofHunt(LAKE).tables).toEqual([]);
});
