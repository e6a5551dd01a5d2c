// What is weak at an endpoint or a service, on its page.
import { Link } from 'react-router';

import type { WeaknessRow } from '../../api/types';
import { Loading, Panel, SeverityTag, Time, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { Words } from '../../parts/Prose';
import { type Place, SHOWN_MAX, useChecks, useWeaknessesOf } from './reading';
import { OwaspId, Standing } from './tags';
import { checkWords, posturePath, weaknessPath } from './weakness';

export function WeaknessesOf({ place }: { place: Place }) {
  const found = useWeaknessesOf(place);
  const checks = useChecks().data?.items;
  const rows = found.data?.items ?? [];
  const columns: Column<WeaknessRow>[] = [
    { id: 'severity', head: 'Severity', width: '84px', cell: ({ severity }) => <SeverityTag severity={severity} /> },
    {
      id: 'what',
      head: 'What',
      width: 'minmax(0, 1fr)',
      cell: ({ id, check, sentence }) => (
        <div className="lines">
          <Link className="whole cut" to={weaknessPath(id)}>
            <strong>{checkWords(check, checks)}</strong>
          </Link>
          <span className="muted two-lines" title={sentence}>
            <Words of={sentence} />
          </span>
        </div>
      ),
    },
    { id: 'owasp', head: 'OWASP', width: '52px', cell: ({ owasp }) => <OwaspId id={owasp} /> },
    { id: 'state', head: 'State', width: '96px', cell: ({ state }) => <Standing state={state} /> },
    {
      id: 'seen',
      head: 'Seen last',
      width: '72px',
      isNumber: true,
      cell: ({ last_seen_ms }) => <Time ms={last_seen_ms} relative />,
    },
  ];
  const all = posturePath({ ...place, state: 'all' });
  return (
    <Panel title="Weaknesses" flush after={rows.length > 0 && <Link to={all}>Also fixed ones</Link>}>
      {found.error && (
        <div className="padded">
          <Trouble error={found.error} again={() => void found.refetch()} />
        </div>
      )}
      {found.isPending && (
        <div className="padded">
          <Loading lines={2} />
        </div>
      )}
      {found.data && rows.length === 0 && (
        <p className="muted padded">
          None that is known. <Link to="/posture/checks">What is checked</Link>
        </p>
      )}
      {rows.length > 0 && (
        <div className="weaknesses">
          <SmallTable label="Weaknesses" rows={rows} columns={columns} rowKey={({ id }) => id} />
        </div>
      )}
      {found.data?.next && (
        <p className="padded">
          <Link to={posturePath({ ...place, state: 'open,excepted' })}>There are more than these {SHOWN_MAX}</Link>
        </p>
      )}
    </Panel>
  );
}
