// What one may ask the lake for, as it says itself: tables with their columns, and functions; and what a word that is typed may
// go on with.
import { queryOptions } from '@tanstack/react-query';

import { ask } from '../../api/sql';

export interface TableOf {
  name: string;
  columns: { name: string; type: string }[];
}

interface FunctionOf {
  name: string;
  /** Such as `date_bin(interval, expression, origin-timestamp)`. */
  example?: string | null;
  words?: string | null;
}

export interface Lake {
  tables: TableOf[];
  functions: FunctionOf[];
}

export interface Choice {
  label: string;
  kind: 'table' | 'column' | 'function' | 'word';
  detail?: string;
  words?: string;
}

const ORDER = [
  'calls',
  'hours',
  'events',
  'endpoint_hours',
  'timeline',
  'alerts',
  'alert_calls',
  'findings',
  'actions',
  'endpoints',
];
export const WORDS =
  'SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT OFFSET JOIN LEFT RIGHT FULL INNER OUTER CROSS USING DISTINCT AND OR NOT NULL IS IN LIKE ILIKE BETWEEN EXISTS CASE WHEN THEN ELSE END AS ON WITH ASC DESC NULLS FIRST LAST FILTER OVER PARTITION ROWS RANGE PRECEDING FOLLOWING CURRENT ROW UNION ALL EXCEPT INTERSECT CAST EXPLAIN DESCRIBE SHOW TABLES TRUE FALSE'.split(
    ' ',
  );
export const TYPES = 'INTERVAL TIMESTAMP DATE TIME BOOLEAN INT BIGINT DOUBLE VARCHAR'.split(' ');
/** Behind these a table is named. */
const BEFORE_TABLE = /\b(?:from|join|describe)\s+\w*$/i;

async function readTables(signal: AbortSignal): Promise<TableOf[]> {
  const rows = await ask<{ table_name: string; column_name: string; data_type: string }>(
    "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
    signal,
  );
  const tables = new Map<string, TableOf>();
  for (const row of rows) {
    const table = tables.get(row.table_name) ?? { name: row.table_name, columns: [] };
    table.columns.push({ name: row.column_name, type: typeWords(row.data_type) });
    tables.set(row.table_name, table);
  }
  const place = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return [...tables.values()].sort((a, b) => place(a.name) - place(b.name));
}

function readFunctions(signal: AbortSignal): Promise<FunctionOf[]> {
  return ask<FunctionOf>(
    'SELECT routine_name AS name, max(syntax_example) AS example, max(description) AS words FROM information_schema.routines GROUP BY 1 ORDER BY 1',
    signal,
  );
}

export const schemaOfLake = queryOptions({
  queryKey: ['schema'],
  queryFn: async ({ signal }): Promise<Lake> => {
    const [tables, functions] = await Promise.all([readTables(signal), readFunctions(signal)]);
    return { tables, functions };
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

function columnsOf(tables: TableOf[]): Choice[] {
  const columns = new Map<string, Choice>();
  for (const { columns: some } of tables) {
    for (const { name, type } of some) columns.set(name, { label: name, kind: 'column', detail: type });
  }
  return [...columns.values()];
}

/** The table that is meant by its name, or by another one that the statement gives it. */
function tableCalled(name: string, statement: string, tables: TableOf[]): TableOf | undefined {
  const isIt = (table: TableOf) =>
    table.name === name || new RegExp(`\\b${table.name}\\s+(?:as\\s+)?${name}\\b`, 'i').test(statement);
  return tables.find(isIt);
}

/** What a hunt may read: the calls of its window, which are rows of `events`, and all calls to compare them with. */
export function ofHunt(lake: Lake): Lake {
  const whole = lake.tables.filter(({ name }) => name === 'events' || name === 'timeline');
  const columns = whole.find(({ name }) => name === 'events')?.columns;
  return { ...lake, tables: columns ? [{ name: 'window_calls', columns }, ...whole] : whole };
}

/** Whether a statement reads what a hunt has to. One that runs here cannot: only a hunt has a window. */
export function canBeHunt(statement: string): boolean {
  return /\bwindow_calls\b/i.test(statement);
}

/** What may stand where the caret is: the most likely first. It is for whoever shows it to leave out what does not fit the word. */
export function choices(statement: string, caret: number, { tables, functions }: Lake): Choice[] {
  const before = statement.slice(0, caret);
  const owner = /(\w+)\.\w*$/.exec(before)?.[1];
  if (owner !== undefined) {
    const table = tableCalled(owner, statement, tables);
    return table ? columnsOf([table]) : [];
  }
  const named: Choice[] = tables.map(({ name, columns }) => ({
    label: name,
    kind: 'table',
    detail: `${columns.length} columns`,
  }));
  if (BEFORE_TABLE.test(before)) return named;
  const meant = tables.filter(({ name }) => new RegExp(`\\b${name}\\b`, 'i').test(statement));
  return [
    ...columnsOf(meant.length > 0 ? meant : tables),
    ...named,
    ...functions.map(({ name, example, words }): Choice => ({
      label: name,
      kind: 'function',
      detail: example?.startsWith(name) ? example.slice(name.length) : undefined,
      words: words?.trim().split('\n')[0],
    })),
    ...[...WORDS, ...TYPES].map((label): Choice => ({ label, kind: 'word' })),
  ];
}
