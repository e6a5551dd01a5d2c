// What is checked, and how many weaknesses each check has found.
import { Link, useNavigate } from 'react-router';

import type { CheckRow } from '../../api/types';
import { Empty, Page, SeverityTag } from '../../parts/basics';
import { type Column, PagedTable } from '../../parts/DataTable';
import { count, counted } from '../../parts/words';
import { owaspWords } from './owasp';
import { PostureTabs } from './PostureTabs';
import { useChecks, useCounts } from './reading';
import { checkPath, posturePath } from './weakness';

const ROW_HEIGHT = 60;

const nothingMore = () => undefined;

export function ChecksPage() {
  const navigate = useNavigate();
  const checks = useChecks();
  const counts = useCounts({});
  const rows = checks.data?.items ?? [];
  const open = counts.data?.open_by_check;
  const columns: Column<CheckRow>[] = [
    { id: 'severity', head: 'As a rule', width: '84px', cell: ({ severity }) => <SeverityTag severity={severity} /> },
    {
      id: 'what',
      head: 'What is weak',
      width: 'minmax(0, 1fr)',
      cell: ({ name, title, summary }) => (
        <div className="lines">
          <Link className="whole cut" to={checkPath(name)}>
            <strong>{title}</strong>
          </Link>
          <span className="muted cut" title={summary}>
            {summary}
          </span>
        </div>
      ),
    },
    {
      id: 'owasp',
      head: 'OWASP API Security Top 10',
      width: 'minmax(60px, 0.4fr)',
      cell: ({ owasp }) => (
        <span className="muted" title={owaspWords(owasp)}>
          {owaspWords(owasp)}
        </span>
      ),
    },
    {
      id: 'open',
      head: 'Open',
      width: '64px',
      isNumber: true,
      cell: ({ name }) => {
        const number = open?.[name] ?? 0;
        if (number === 0) return <span className="faint">{open ? 0 : '–'}</span>;
        return <Link to={posturePath({ check: name })}>{count(number)}</Link>;
      },
    },
  ];
  return (
    <Page
      title="Posture"
      full
      after={
        <>
          <PostureTabs of="checks" />
          <span className="faint">{checks.data && counted(rows.length, 'check')}</span>
        </>
      }
    >
      <PagedTable
        pages={{ ...checks, rows, onEnd: nothingMore }}
        label="Checks"
        columns={columns}
        rowKey={({ name }) => name}
        rowHeight={ROW_HEIGHT}
        onOpen={({ name }) => void navigate(checkPath(name))}
        empty={<Empty title="Nothing is checked." />}
      />
    </Page>
  );
}
