// Which tables the lake has, with their columns, as it says itself; and what a word that is typed may go on with.
import { useQuery } from '@tanstack/react-query';

import { ask } from '../../api/sql';

export interface TableOf {
  name: string;
  columns: { name: string; type: string }[];
}

const ORDER = ['calls', 'events', 'timeline', 'alerts', 'alert_calls', 'findings', 'actions', 'endpoints'];
const WORDS =
  'SELECT FROM WHERE GROUP BY ORDER BY HAVING LIMIT JOIN USING DISTINCT COUNT AVG SUM MIN MAX AND OR NOT NULL IS IN LIKE BETWEEN INTERVAL TIMESTAMP CASE WHEN THEN ELSE END AS ON WITH DESC FILTER OVER now date_bin approx_percentile_cont field_value entity_names'.split(
    ' ',
  );
const CHOICES_MAX = 8;

export function useSchema() {
  return useQuery({
    queryKey: ['schema'],
    queryFn: async ({ signal }): Promise<TableOf[]> => {
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
    },
    staleTime: Infinity,
    retry: false,
  });
}

/** Arrow's names of types in fewer words. */
function typeWords(type: string): string {
  if (type.startsWith('Timestamp')) return 'time';
  if (/^U?Int/.test(type)) return 'integer';
  if (/^Float|^Decimal/.test(type)) return 'number';
  if (type.startsWith('Utf8') || type.startsWith('LargeUtf8') || type.startsWith('Dictionary')) return 'text';
  if (type.startsWith('List')) return 'list';
  return type.toLowerCase().replace('date32', 'date');
}

/** What the last word of a statement may be: columns of the tables that it names first. */
export function complete(before: string, tables: TableOf[]): string[] {
  const word = /[A-Za-z_]\w*$/.exec(before)?.[0] ?? '';
  if (word.length < 2) return [];
  const lower = word.toLowerCase();
  const named = tables.filter((table) => new RegExp(`\\b${table.name}\\b`).test(before));
  const columns = (named.length > 0 ? named : tables).flatMap((table) => table.columns.map((column) => column.name));
  const all = [...columns, ...tables.map((table) => table.name), ...WORDS];
  const found = all.filter((name) => name.toLowerCase().startsWith(lower) && name.toLowerCase() !== lower);
  return [...new Set(found)].slice(0, CHOICES_MAX);
}
