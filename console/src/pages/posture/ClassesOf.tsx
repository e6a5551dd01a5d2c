// Which classes of data go to a service, on its page.
import { Link } from 'react-router';

import type { ClassRow } from '../../api/types';
import { Loading, Panel, Time, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { count, counted, short } from '../../parts/words';
import { classWords, familyLooks, familyWords, locationWords } from './classes';
import { useClasses, useConsumerNames } from './reading';
import { ConsumerLink, EndpointLink } from './tags';

/** So many names stand in a cell. */
const NAMES_SHOWN = 3;

export function ClassesOf({ gateway, service }: { gateway: string; service: string }) {
  const found = useClasses({ gateway, service });
  const rows = found.data?.items ?? [];
  const names = useConsumerNames(rows.some(({ consumers }) => consumers.length > 0) ? [gateway] : []);
  const columns: Column<ClassRow>[] = [
    {
      id: 'class',
      head: 'Class',
      width: 'minmax(0, 0.8fr)',
      cell: (row) => (
        <div className="lines">
          <Link className="cut" to={`/posture/data?class=${encodeURIComponent(row.class)}`} title={row.class}>
            {classWords(row.class)}
          </Link>
          <span>
            <span className={`tag ${familyLooks(row.family)}`}>{familyWords(row.family)}</span>
          </span>
        </div>
      ),
    },
    { id: 'where', head: 'In parameters', width: 'minmax(0, 0.7fr)', cell: (row) => locationWords(row) },
    {
      id: 'endpoints',
      head: 'Endpoints',
      width: 'minmax(0, 1.4fr)',
      cell: ({ endpoints }) => <Few of={endpoints} show={(id) => <EndpointLink id={id} />} />,
    },
    {
      id: 'consumers',
      head: 'Sent by',
      width: 'minmax(0, 1fr)',
      cell: ({ consumers }) => (
        <Few of={consumers} show={(id) => <ConsumerLink id={id} gateway={gateway} name={names.get(id)} />} />
      ),
    },
    {
      id: 'values',
      head: 'Values',
      width: '64px',
      isNumber: true,
      cell: ({ values, replaced }) => (
        <span title={`${count(values)}, of which ${count(replaced)} came as pseudonyms`}>{short(values)}</span>
      ),
    },
    {
      id: 'seen',
      head: 'Seen last',
      width: '72px',
      isNumber: true,
      cell: ({ last_seen_ms }) => <Time ms={last_seen_ms} relative />,
    },
  ];
  return (
    <Panel title="Data that it is sent" flush>
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
          No class of data was seen in paths, queries, headers and mapped fields. Kong logs no bodies: an endpoint’s
          page says how to map a part of one.
        </p>
      )}
      {rows.length > 0 && (
        <div className="weaknesses">
          <SmallTable label="Data classes" rows={rows} columns={columns} rowKey={(row) => row.class} />
        </div>
      )}
    </Panel>
  );
}

function Few({ of, show }: { of: string[]; show: (id: string) => React.ReactNode }) {
  if (of.length === 0) return <span className="faint">–</span>;
  return (
    <div className="lines">
      {of.slice(0, NAMES_SHOWN).map((id) => (
        <span key={id} className="cut">
          {show(id)}
        </span>
      ))}
      {of.length > NAMES_SHOWN && <span className="faint">and {counted(of.length - NAMES_SHOWN, 'other')}</span>}
    </div>
  );
}
