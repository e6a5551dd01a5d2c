// Who did what, the newest first.
import { api, got } from '../../api/client';
import type { AuditLine } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, Time } from '../../parts/basics';
import { Choice } from '../../parts/Choice';
import { type Column, PagedTable } from '../../parts/DataTable';
import { Field } from '../../parts/Field';
import { usePages } from '../../parts/pages';

const LOGS = [
  { value: 'decisions', label: 'Decisions' },
  { value: 'access', label: 'Access' },
  { value: 'reads', label: 'Reads' },
] as const;
type Log = (typeof LOGS)[number]['value'];

const COLUMNS: Column<AuditLine>[] = [
  { id: 'at', head: 'When', width: '120px', cell: (line) => <Time ms={line.at_ms} /> },
  {
    id: 'by',
    head: 'Who',
    width: 'minmax(0, 0.8fr)',
    cell: (line) => <span title={line.by}>{line.by.replace(/^person:/, '')}</span>,
  },
  {
    id: 'what',
    head: 'What',
    width: 'minmax(0, 1.1fr)',
    cell: (line) => <strong title={line.what}>{line.what}</strong>,
  },
  {
    id: 'subject',
    head: 'About',
    width: 'minmax(0, 1fr)',
    cell: (line) => <code title={line.subject}>{line.subject}</code>,
  },
  {
    id: 'detail',
    head: 'Detail',
    width: 'minmax(0, 2fr)',
    cell: (line) => (
      <span className="muted" title={line.detail}>
        {line.detail}
      </span>
    ),
  },
  { id: 'log', head: 'Log', width: '76px', cell: (line) => <span className="faint">{line.log}</span> },
];

export default function Audit() {
  const [query] = useAddress();
  const log = LOGS.find((one) => one.value === query.get('log'))?.value;
  const filter: { log?: Log; by?: string; subject?: string } = {
    log,
    by: query.get('by') ?? undefined,
    subject: query.get('subject') ?? undefined,
  };
  const lines = usePages<AuditLine>(['audit', filter], (cursor, signal) =>
    got(api.GET('/api/v1/audit', { params: { query: { ...filter, limit: 200, cursor } }, signal })),
  );
  return (
    <>
      <div className="filters">
        <Choice label="Log" name="log" any="All logs" value={log} data={[...LOGS]} />
        <Field label="By, such as person:anna" name="by" width={200} isSearch />
        <Field label="About, such as al_…" name="subject" width={200} />
      </div>
      <PagedTable
        pages={lines}
        label="Audit log"
        columns={COLUMNS}
        rowKey={(line) => `${line.log} ${line.number}`}
        empty={
          <Empty title="No entries fit.">
            <p>Each log is a chain of hashes. This says whether it is whole:</p>
            <Command>outrider audit verify</Command>
          </Empty>
        }
      />
    </>
  );
}
