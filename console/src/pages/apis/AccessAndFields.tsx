// How those who call an endpoint were known, and what they ask for in the query.
import { useQuery } from '@tanstack/react-query';

import type { AccessFigures } from '../../api/types';
import { Loading, Panel, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { count, share } from '../../parts/words';
import { inOrder, knownWords, mixedShare } from './access';
import {
  accessOf,
  FIELDS_CALLS_MAX,
  FIELDS_MAX,
  fieldsOf,
  isWithoutLake,
  type QueryField,
  type Span,
  useCallers,
} from './questions';

interface Of {
  id: string;
  span: Span;
}

/** One after the other: the lake answers few questions at a time, and others ask, too. */
function useAccess({ id, span }: Of) {
  const before = useCallers(id, span);
  return useQuery({
    queryKey: ['endpoint access', id, span.id],
    queryFn: ({ signal }) => accessOf(id, span, signal),
    enabled: !before.isPending,
  });
}

function total(access: AccessFigures[]): number {
  return access.reduce((sum, { calls }) => sum + calls, 0);
}

/** A share as a bar with its number beside it. */
function Share({ of }: { of: number }) {
  return (
    <div className="row">
      <div className="compare-track spread">
        <div
          className="compare-bar"
          style={{
            width: `${Math.min(of, 1) * 100}%`,
            background: 'color-mix(in srgb, var(--calls) 60%, var(--surface))',
          }}
        />
      </div>
      <span className="number">{share(Math.min(of, 1))}</span>
    </div>
  );
}

export function AccessOf(of: Of) {
  const found = useAccess(of);
  const rows = inOrder(found.data ?? []);
  const all = total(rows);
  const mixed = mixedShare(rows);
  if (isWithoutLake(found.error)) return null;
  const columns: Column<AccessFigures>[] = [
    {
      id: 'how',
      head: 'By what the caller was known',
      width: 'minmax(0, 2fr)',
      cell: ({ how }) => <span title={knownWords(how)}>{knownWords(how)}</span>,
    },
    {
      id: 'share',
      head: 'Share of the calls',
      width: 'minmax(0, 1.4fr)',
      cell: ({ calls }) => <Share of={calls / all} />,
    },
    { id: 'calls', head: 'Calls', width: '90px', isNumber: true, cell: ({ calls }) => count(calls) },
    {
      id: 'served',
      head: 'Served',
      width: '80px',
      isNumber: true,
      cell: ({ calls, served }) => share(served / calls),
    },
  ];
  return (
    <Panel
      title="Who is let in"
      flush
      after={mixed !== undefined && <span className="tag danger">with and without a credential</span>}
    >
      {found.error && <Trouble error={found.error} again={() => void found.refetch()} />}
      {found.isPending && <Wait />}
      {mixed !== undefined && (
        <p className="wrap" role="note" style={{ padding: '8px 16px' }}>
          {share(mixed)} of those who were served had no credential that says who they are, and the others had one.
          Should this endpoint be open to everybody?
        </p>
      )}
      {found.data &&
        (all > 0 ? <SmallTable label="Access" rows={rows} columns={columns} rowKey={({ how }) => how} /> : <None />)}
    </Panel>
  );
}

const KINDS = ['no value', 'as sent', 'pseudonyms', 'not kept'];

export function FieldsOf(of: Of) {
  const access = useAccess(of);
  const found = useQuery({
    queryKey: ['endpoint fields', of.id, of.span.id],
    queryFn: ({ signal }) => fieldsOf(of.id, of.span, signal),
    enabled: !access.isPending,
  });
  if (isWithoutLake(found.error)) return null;
  const all = Math.min(total(access.data ?? []), FIELDS_CALLS_MAX);
  const columns: Column<QueryField>[] = [
    { id: 'name', head: 'Field', width: 'minmax(0, 2fr)', cell: ({ name }) => <code title={name}>{name}</code> },
    {
      id: 'share',
      head: 'Share of the calls',
      width: 'minmax(0, 1.4fr)',
      cell: ({ calls }) => (all > 0 ? <Share of={calls / all} /> : '–'),
    },
    {
      id: 'different',
      head: 'Values, about',
      width: '90px',
      isNumber: true,
      cell: ({ different }) => count(different),
    },
    { id: 'kind', head: 'Kept', width: '80px', isNumber: true, cell: ({ kind }) => KINDS[kind] ?? '–' },
  ];
  return (
    <Panel
      title="Query"
      flush
      after={<span className="faint">of the newest {count(FIELDS_CALLS_MAX)} calls at most</span>}
    >
      {found.error && <Trouble error={found.error} again={() => void found.refetch()} />}
      {found.isPending && <Wait />}
      {found.data &&
        (found.data.length > 0 ? (
          <SmallTable label="Query fields" rows={found.data} columns={columns} rowKey={({ name }) => name} />
        ) : (
          <p className="muted" style={{ padding: 16 }}>
            No call of this time had a query.
          </p>
        ))}
      {found.data?.length === FIELDS_MAX && (
        <p className="faint" style={{ padding: '8px 16px' }}>
          The {FIELDS_MAX} that most calls have.
        </p>
      )}
    </Panel>
  );
}

function Wait() {
  return (
    <div style={{ padding: 16 }}>
      <Loading lines={2} />
    </div>
  );
}

function None() {
  return (
    <p className="muted" style={{ padding: 16 }}>
      No calls at this time.
    </p>
  );
}
