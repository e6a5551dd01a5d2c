// What one may ask the lake for, as it says itself: tables with their columns, and functions, each with what it means; what a word that
// is typed may go on with, and which of all of it somebody looks for.
import { queryOptions } from '@tanstack/react-query';

import type { TableColumn, SchemaWords, TableWords } from '../../api/types';
import { api, got } from '../../api/client';

export interface Choice {
  label: string;
  kind: 'table' | 'column' | 'function' | 'word';
  detail?: string;
  words?: string;
}

export const WORDS =
  'SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET JOIN LEFT RIGHT FULL INNER OUTER CROSS USING DISTINCT AND OR NOT NULL IS IN LIKE ILIKE BETWEEN EXISTS CASE WHEN THEN ELSE END AS ON WITH ASC DESC NULLS FIRST LAST FILTER OVER PARTITION ROWS RANGE PRECEDING FOLLOWING CURRENT ROW UNION ALL EXCEPT INTERSECT CAST EXPLAIN DESCRIBE SHOW TABLES TRUE FALSE'.split(
    ' ',
  );
export const TYPES = 'INTERVAL TIMESTAMP DATE TIME BOOLEAN INT BIGINT DOUBLE VARCHAR'.split(' ');
/** Behind these a table is named. */
const BEFORE_TABLE = /\b(?:from|join|describe)\s+\w*$/i;

export const schemaOfLake = queryOptions({
  queryKey: ['schema'],
  queryFn: async ({ signal }): Promise<SchemaWords> => {
    const { tables, functions } = await got(api.GET('/api/v1/lake/schema', { signal }));
    const named = (column: TableColumn) => ({ ...column, type: typeWords(column.type) });
    return {
      tables: tables.map((table) => ({ ...table, columns: table.columns.map(named) })),
      functions: functions.map((one) => ({ ...one, words: one.words.trim().split('\n')[0]! })),
    };
  },
  staleTime: Infinity,
  retry: false,
});

/** Arrow's names of types in fewer words. */
function typeWords(type: string): string {
  if (type.startsWith('Timestamp')) return 'time';
  if (/^U?Int/.test(type)) return 'integer';
  if (/^Float|^Decimal/.test(type)) return 'number';
  if (type.startsWith('Utf8') || type.startsWith('LargeUtf8') || type.startsWith('Dictionary')) return 'text';
  if (type.startsWith('List')) return 'list';
  return type.toLowerCase().replace('date32', 'date');
}

/** Its type, and the unit in which it is. */
export function kindOf({ type, unit }: TableColumn): string {
  return unit ? `${type}, ${unit}` : type;
}

/** One that several tables have means what the first of them says. */
function columnsOf(tables: TableWords[]): Choice[] {
  const columns = new Map<string, Choice>();
  for (const column of tables.flatMap((table) => table.columns)) {
    const { name, words } = column;
    if (!columns.has(name)) columns.set(name, { label: name, kind: 'column', detail: kindOf(column), words });
  }
  return [...columns.values()];
}

/** What somebody looks for: each word is in a name or in what that means. A table that is meant itself has all of its columns. */
export function found({ tables, functions }: SchemaWords, text: string): SchemaWords {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const has = (...texts: (string | null | undefined)[]) => {
    const all = texts.join(' ').toLowerCase();
    return words.every((word) => all.includes(word));
  };
  const within = (table: TableWords) =>
    has(table.name, table.words)
      ? table
      : { ...table, columns: table.columns.filter(({ name, words, unit }) => has(name, words, unit)) };
  return {
    tables: tables.map(within).filter(({ columns }) => columns.length > 0),
    functions: functions.filter(({ name, words }) => has(name, words)),
  };
}

/** The table that is meant by its name, or by another one that the statement gives it. */
function tableCalled(name: string, statement: string, tables: TableWords[]): TableWords | undefined {
  const isIt = (table: TableWords) =>
    table.name === name || new RegExp(`\\b${table.name}\\s+(?:as\\s+)?${name}\\b`, 'i').test(statement);
  return tables.find(isIt);
}

/** What a hunt may read: the calls of its window, which are rows of `events`, and all calls to compare them with. */
export function ofHunt(lake: SchemaWords): SchemaWords {
  const whole = lake.tables.filter(({ name }) => name === 'events' || name === 'timeline');
  const columns = whole.find(({ name }) => name === 'events')?.columns;
  const words = 'the calls of the time that a run is about';
  return { ...lake, tables: columns ? [{ name: 'window_calls', words, columns }, ...whole] : whole };
}

/** Whether a statement reads what a hunt has to. One that runs here cannot: only a hunt has a window. */
export function canBeHunt(statement: string): boolean {
  return /\bwindow_calls\b/i.test(statement);
}

/** What may stand where the caret is: the most likely first. It is for whoever shows it to leave out what does not fit the word. */
export function choices(statement: string, caret: number, { tables, functions }: SchemaWords): Choice[] {
  const before = statement.slice(0, caret);
  const owner = /(\w+)\.\w*$/.exec(before)?.[1];
  if (owner !== undefined) {
    const table = tableCalled(owner, statement, tables);
    return table ? columnsOf([table]) : [];
  }
  const named: Choice[] = tables.map(({ name, words, columns }) => ({
    label: name,
    kind: 'table',
    detail: `${columns.length} columns`,
    words,
  }));
  if (BEFORE_TABLE.test(before)) return named;
  const meant = tables.filter(({ name }) => new RegExp(`\\b${name}\\b`, 'i').test(statement));
  return [
    ...columnsOf(meant.length > 0 ? meant : tables),
    ...named,
    ...functions.map(({ name, call, words }): Choice => ({
      label: name,
      kind: 'function',
      detail: call.startsWith(name) ? call.slice(name.length) : undefined,
      words,
    })),
    ...[...WORDS, ...TYPES].map((label): Choice => ({ label, kind: 'word' })),
  ];
}
