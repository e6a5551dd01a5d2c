// How those who call an endpoint were known, and what they ask for in the query.
import type { AccessFigures } from '../../api/types';
import { Loading, Panel, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { useSteady } from '../../parts/steady';
import { count, share } from '../../parts/words';
import { inOrder, knownWords, mixedShare } from './access';
import { FIELDS_CALLS_MAX, FIELDS_MAX, isWithoutLake, type QueryField } from './questions';
import { type Of, useAccess, useFields } from './tables';

interface Props extends Of {
  /** The rows stay where they are. */
  isHeld: boolean;
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

export function AccessOf({ isHeld, ...of }: Props) {
  const found = useAccess(of);
  const { shown: rows } = useSteady(inOrder(found.data ?? []), ({ how }) => how, isHeld);
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
      {found.error && !found.data && <Trouble error={found.error} again={() => void found.refetch()} />}
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

export function FieldsOf({ isHeld, ...of }: Props) {
  const access = useAccess(of);
  const found = useFields(of);
  const { shown: rows } = useSteady(found.data ?? [], ({ name }) => name, isHeld);
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
      {found.error && !found.data && <Trouble error={found.error} again={() => void found.refetch()} />}
      {found.isPending && <Wait />}
      {found.data &&
        (rows.length > 0 ? (
          <SmallTable label="Query fields" rows={rows} columns={columns} rowKey={({ name }) => name} />
        ) : (
          <p className="muted" style={{ padding: 16 }}>
            No call of this time had a query.
          </p>
        ))}
      {rows.length === FIELDS_MAX && (
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
