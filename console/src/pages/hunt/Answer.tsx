// The answer of a statement: as a table whose values lead on, and as a chart where it has numbers in an order.
import { useMemo } from 'react';
import { Link } from 'react-router';

import type { Table } from '../../api/types';
import { timeOf } from '../../api/sql';
import { Lines } from '../../charts/Lines';
import { Empty, Time, timelinePath } from '../../parts/basics';
import { type Column, DataTable } from '../../parts/DataTable';
import type { Sizing } from '../../parts/widths';
import { exact } from '../../parts/words';
import { Bars } from './Bars';

type Row = Record<string, unknown>;

const isNumber = (type: string) => /^(U?Int|Float|Decimal)/.test(type);
const isText = (type: string) => /^(Large)?Utf8|^Dictionary/.test(type);
const isTime = (type: string) => type.startsWith('Timestamp');
const COLOURS = ['--accent', '--high', '--ok', '--refused', '--medium'];

export function Answer({ table, sizing }: { table: Table; sizing: Sizing }) {
  const rows = table.rows as Row[];
  const columns = useMemo(
    () =>
      table.columns.map((column): Column<[Row, number]> => ({
        id: column.name,
        head: <span title={column.type}>{column.name}</span>,
        width: isNumber(column.type) ? 'minmax(80px, 0.6fr)' : 'minmax(110px, 1fr)',
        isNumber: isNumber(column.type),
        cell: ([row]) => <Cell name={column.name} type={column.type} value={row[column.name]} />,
      })),
    [table.columns],
  );
  const numbered = useMemo(() => rows.map((row, index): [Row, number] => [row, index]), [rows]);
  return (
    <div className="answer">
      <DataTable
        label="Answer"
        rows={numbered}
        columns={columns}
        rowKey={([, index]) => String(index)}
        rowHeight={30}
        sizing={sizing}
        empty={
          <Empty title="No rows.">
            <p>
              The statement is right, and nothing fits it. Calls are in the lake a few seconds after they came; times in
              statements are UTC.
            </p>
          </Empty>
        }
      />
    </div>
  );
}

function Cell({ name, type, value }: { name: string; type: string; value: unknown }) {
  if (value === null || value === undefined) return <span className="faint">null</span>;
  if (isTime(type)) return <Time ms={timeOf(value)} />;
  if (typeof value === 'number' && isCount(name)) return <span title={String(value)}>{exact(value)}</span>;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const to = leads(name, text);
  return to ? (
    <Link to={to} title={text}>
      {text}
    </Link>
  ) : (
    <span title={text}>{text}</span>
  );
}

/** Numbers that name something are not read as so many of it. */
const isCount = (name: string) => !/(^|_)(asn|id|ids|position|index|number|status|year|port|date|day)$/.test(name);

/** Where a value of a column of this name leads. */
function leads(name: string, value: string): string | undefined {
  switch (name) {
    case 'consumer_id':
    case 'consumer_name':
      return timelinePath({ kind: 'consumer', value });
    case 'client_ip':
      return timelinePath({ kind: 'ip', value });
    case 'asn':
      return timelinePath({ kind: 'network', value });
    case 'session':
      return timelinePath({ kind: 'session', value });
    case 'alert_id':
      return `/alerts/${encodeURIComponent(value)}`;
    case 'action_id':
      return `/responses/${encodeURIComponent(value)}`;
    case 'endpoint_id':
    case 'current_endpoint_id':
      return `/apis/${encodeURIComponent(value)}`;
    default:
      return undefined;
  }
}

/** A chart needs times, numbers or names first, and numbers beside them. */
export function canChart(table: Table): boolean {
  const [first, ...others] = table.columns;
  return (
    first !== undefined &&
    table.rows.length > 1 &&
    (isTime(first.type) || isNumber(first.type) || isText(first.type)) &&
    others.some((column) => isNumber(column.type))
  );
}

export function Chart({ table }: { table: Table }) {
  return isText(table.columns[0]!.type) ? <NamedBars table={table} /> : <OverFirst table={table} />;
}

function NamedBars({ table }: { table: Table }) {
  const [first, ...others] = table.columns;
  const figure = others.find((column) => isNumber(column.type));
  if (!first || !figure) return null;
  const bars = (table.rows as Row[]).map((row) => {
    const [name, value] = [row[first.name], Number(row[figure.name] ?? 0)];
    const text = typeof name === 'string' ? name : 'null';
    return { name: text, to: typeof name === 'string' ? leads(first.name, name) : undefined, value };
  });
  return <Bars label={`${figure.name} by ${first.name}`} bars={bars} />;
}

function OverFirst({ table }: { table: Table }) {
  const drawn = useMemo(() => {
    const [first, ...others] = table.columns;
    const isOverTime = isTime(first!.type);
    const at = (row: Row) => (isOverTime ? timeOf(row[first!.name]) : Number(row[first!.name]));
    const rows = (table.rows as Row[]).filter((row) => Number.isFinite(at(row))).sort((a, b) => at(a) - at(b));
    const series = others
      .filter((column) => isNumber(column.type))
      .slice(0, COLOURS.length)
      .map((column, index) => ({
        name: column.name,
        colour: COLOURS[index]!,
        values: rows.map((row) => (typeof row[column.name] === 'number' ? (row[column.name] as number) : null)),
      }));
    return { isOverTime, times: rows.map(at), series };
  }, [table]);
  return (
    <div style={{ padding: '16px 24px' }}>
      <Lines times={drawn.times} series={drawn.series} isTime={drawn.isOverTime} height={320} />
    </div>
  );
}
