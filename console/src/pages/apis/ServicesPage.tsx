// Every service that was called, with what is known of its document.
import { Link, useNavigate } from 'react-router';

import type { ApiRow } from '../../api/types';
import { Command, Empty, Page, Time } from '../../parts/basics';
import { type Column, PagedTable } from '../../parts/DataTable';
import { count, counted, short } from '../../parts/words';
import { ApisTabs } from './ApisTabs';
import { nameOf, servicePath, useApis } from './service';

const COLUMNS: Column<ApiRow>[] = [
  {
    id: 'service',
    head: 'Service',
    width: 'minmax(140px, 1.5fr)',
    cell: (row) => (
      <Link className="whole cut" to={servicePath(row)} title={row.service}>
        <strong>{nameOf(row)}</strong>
      </Link>
    ),
  },
  {
    id: 'gateway',
    head: 'Gateway',
    width: 'minmax(80px, 1fr)',
    cell: ({ gateway, workspace }) => <span title={workspace && `workspace ${workspace}`}>{gateway}</span>,
  },
  {
    id: 'document',
    head: 'Document of its owner',
    width: 'minmax(140px, 1.5fr)',
    cell: ({ document }) =>
      document ? (
        <span title={counted(document.operations, 'operation')}>
          {document.title} <span className="muted">{document.version}</span>
        </span>
      ) : (
        <span className="faint">none</span>
      ),
  },
  {
    id: 'endpoints',
    head: 'Endpoints',
    width: '78px',
    isNumber: true,
    cell: ({ endpoints }) => count(endpoints),
  },
  {
    id: 'calls',
    head: 'Calls',
    width: '78px',
    isNumber: true,
    cell: ({ calls }) => <span title={count(calls)}>{short(calls)}</span>,
  },
  {
    id: 'first',
    head: 'First seen',
    width: '84px',
    isNumber: true,
    cell: (row) => <Time ms={row.first_seen_ms} relative />,
  },
  {
    id: 'last',
    head: 'Last seen',
    width: '84px',
    isNumber: true,
    cell: (row) => <Time ms={row.last_seen_ms} relative />,
  },
];

const nothingMore = () => undefined;

export default function ServicesPage() {
  const navigate = useNavigate();
  const apis = useApis();
  const rows = apis.data?.items ?? [];
  return (
    <Page
      title="APIs"
      full
      after={
        <>
          <ApisTabs of="services" />
          <span className="faint">{apis.data && counted(rows.length, 'service')}</span>
        </>
      }
    >
      <PagedTable
        pages={{ ...apis, rows, onEnd: nothingMore }}
        label="Services"
        columns={COLUMNS}
        rowKey={servicePath}
        onOpen={(row) => void navigate(servicePath(row))}
        few={
          <p>
            That is all. A service’s page has its OpenAPI document as it was seen, and compares it with the one of its
            owner.
          </p>
        }
        empty={
          <Empty title="No services yet.">
            <p>outrider finds them in the gateway’s log, with the first calls. Does it arrive?</p>
            <Command>outrider doctor --config outrider.toml</Command>
          </Empty>
        }
      />
    </Page>
  );
}
