import { describe, expect, it } from 'vitest';

import type { SchemaWords } from '../../api/types';
import { choices, found, ofHunt, WORDS } from './schema';

const LAKE: SchemaWords = {
  tables: [
    {
      name: 'calls',
      words: 'every call',
      columns: [
        { name: 'consumer_id', type: 'text', words: 'who called' },
        { name: 'status', type: 'integer', words: 'the status of the answer' },
        { name: 'latency_total_ms', type: 'integer', unit: 'ms', words: 'until the end of the answer' },
      ],
    },
    {
      name: 'alerts',
      words: 'what was found',
      columns: [
        { name: 'alert_id', type: 'text', words: 'its id' },
        { name: 'status', type: 'text', words: 'open or not' },
      ],
    },
  ],
  functions: [{ name: 'date_bin', call: 'date_bin(interval, expression)', words: 'rounds down' }],
};

/** `|` is the caret. */
function offered(text: string, kind?: string): string[] {
  const found = choices(text.replace('|', ''), text.indexOf('|'), LAKE);
  return found.filter((choice) => kind === undefined || choice.kind === kind).map(({ label }) => label);
}

describe('what a statement may go on with', () => {
  it.each([
    [
      'columns of all tables, where none is named',
      'SELECT |',
      ['consumer_id', 'status', 'latency_total_ms', 'alert_id'],
    ],
    ['of the table that is named before', 'SELECT 1 FROM calls WHERE |', ['consumer_id', 'status', 'latency_total_ms']],
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
      words: 'rounds down',
    });
    expect(found.map(({ label }) => label)).toEqual(expect.arrayContaining(WORDS));
  });
});

it('says of a column its type, its unit and what it means, as the table that is meant has it', () => {
  const said = (text: string, label: string) =>
    choices(text, text.length, LAKE).find((choice) => choice.label === label);
  expect(said('SELECT latency', 'latency_total_ms')).toMatchObject({
    detail: 'integer, ms',
    words: 'until the end of the answer',
  });
  expect(said('SELECT alerts.', 'status')).toMatchObject({ detail: 'text', words: 'open or not' });
  expect(said('SELECT ', 'status')).toMatchObject({ detail: 'integer', words: 'the status of the answer' });
  expect(said('SELECT 1 FROM ', 'alerts')).toMatchObject({ words: 'what was found' });
});

it.each([
  ['status answer', ['calls: status'], []],
  ['ANSWER', ['calls: status, latency_total_ms'], []],
  ['what was found', ['alerts: alert_id, status'], []],
  ['ms', ['calls: latency_total_ms'], []],
  ['rounds', [], ['date_bin']],
  ['nothing of the kind', [], []],
  ['', ['calls: consumer_id, status, latency_total_ms', 'alerts: alert_id, status'], ['date_bin']],
])('finds by %j what is called so or means that', (text, tables, functions) => {
  const shown = found(LAKE, text);
  expect(shown.tables.map(({ name, columns }) => `${name}: ${columns.map((one) => one.name).join(', ')}`)).toEqual(
    tables,
  );
  expect(shown.functions.map(({ name }) => name)).toEqual(functions);
});

it('offers to a hunt the calls of its window, and nothing that it may not read', () => {
  const events = { name: 'events', words: 'every call', columns: [{ name: 'path', type: 'text', words: 'its path' }] };
  const hunt = ofHunt({ ...LAKE, tables: [...LAKE.tables, events] });
  const labels = (text: string) => choices(text, text.length, hunt).map(({ label }) => label);
  expect(labels('SELECT 1 FROM ')).toEqual(['window_calls', 'events']);
  expect(labels('SELECT 1 FROM window_calls WHERE window_calls.')).toEqual(['path']);
  expect(ofHunt(LAKE).tables).toEqual([]);
});
