// Who did what, the newest first.
import { Select } from '@mantine/core';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { AuditLine } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, Time } from '../../parts/basics';
import { type Column, PagedTable } from '../../parts/DataTable';
import { NameField } from '../../parts/NameField';
import { usePages, useReadAgain } from '../../parts/pages';
import { byWhom } from '../../parts/words';
import { useAssignees } from '../alerts/Assignee';
import { detailWords, LOGS, logOf, pageOf } from './auditing';

const COLUMNS: Column<AuditLine>[] = [
  { id: 'at', head: 'When', width: '120px', cell: (line) => <Time ms={line.at_ms} /> },
  {
    id: 'by',
    head: 'Who',
    width: 'minmax(0, 0.8fr)',
    cell: (line) => <span title={line.by}>{byWhom(line.by)}</span>,
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
    cell: ({ subject }) => {
      const page = pageOf(subject);
      return <code title={subject}>{page ? <Link to={page}>{subject}</Link> : subject}</code>;
    },
  },
  {
    id: 'detail',
    head: 'Detail',
    width: 'minmax(0, 2fr)',
    cell: (line) => (
      <span className="muted" title={line.detail}>
        {detailWords(line)}
      </span>
    ),
  },
];
/** Where all logs are shown, which one it is in. */
const WITH_LOG: Column<AuditLine>[] = [
  ...COLUMNS,
  { id: 'log', head: 'Log', width: '76px', cell: (line) => <span className="faint">{line.log}</span> },
];

export default function Audit() {
  const [query, change] = useAddress();
  const log = logOf(query.get('log'));
  const filter = {
    log: log === 'all' ? undefined : log,
    by: query.get('by') ?? undefined,
    subject: query.get('subject') ?? undefined,
  };
  const lines = usePages<AuditLine>(['audit', filter], (cursor, signal) =>
    got(api.GET('/api/v1/audit', { params: { query: { ...filter, limit: 200, cursor } }, signal })),
  );
  useReadAgain(lines.refetch);
  const people = useAssignees().data?.items ?? [];
  return (
    <>
      <div className="filters">
        <Select
          size="xs"
          w={140}
          allowDeselect={false}
          aria-label="Log"
          value={log}
          data={[...LOGS]}
          onChange={(value) => change({ log: value === 'decisions' ? null : value })}
        />
        <NameField
          label="By, such as person:anna"
          name="by"
          known={[...lines.rows.map(({ by }) => by), ...people.map(({ name }) => `person:${name}`)]}
          width={200}
          isSearch
        />
        <NameField
          label="About, such as al_…"
          name="subject"
          known={lines.rows.map(({ subject }) => subject)}
          width={200}
        />
      </div>
      <PagedTable
        pages={lines}
        label="Audit log"
        columns={log === 'all' ? WITH_LOG : COLUMNS}
        rowKey={(line) => `${line.log} ${line.number}`}
        empty={
          <Empty title="No entries fit.">
            {log !== 'all' && (
              <button type="button" className="link-button link" onClick={() => change({ log: 'all' })}>
                Look in all logs
              </button>
            )}
            <p>Each log is a chain of hashes. This says whether it is whole:</p>
            <Command>outrider audit verify</Command>
          </Empty>
        }
      />
    </>
  );
}
