// Every service that was called, with what is known of its document.
import { type ReactNode, useMemo } from 'react';
import { Link, useNavigate } from 'react-router';

import type { ApiRow } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, Page, Time } from '../../parts/basics';
import { type Column, PagedTable } from '../../parts/DataTable';
import { count, counted, short } from '../../parts/words';
import { RiskFigure } from '../posture/Risk';
import { ApisTabs } from './ApisTabs';
import { nameOf, servicePath, useApis } from './service';

function columnsWith(riskHead: ReactNode): Column<ApiRow>[] {
  return [
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
      id: 'risk',
      head: riskHead,
      width: '46px',
      isNumber: true,
      cell: ({ risk }) => <RiskFigure risk={risk} />,
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
}

/** The riskiest first; those of which nothing is known come last. */
function byRisk(one: ApiRow, other: ApiRow): number {
  return (other.risk?.score ?? -1) - (one.risk?.score ?? -1);
}

const nothingMore = () => undefined;

export default function ServicesPage() {
  const navigate = useNavigate();
  const apis = useApis();
  const [query, change] = useAddress();
  const isByRisk = query.get('sort') === 'risk';
  const items = apis.data?.items;
  const rows = useMemo(() => (isByRisk ? items?.toSorted(byRisk) : items) ?? [], [items, isByRisk]);
  const columns = useMemo(
    () =>
      columnsWith(
        <button
          type="button"
          className="sort"
          title="from 0 to 10"
          aria-pressed={isByRisk}
          onClick={() => change({ sort: isByRisk ? null : 'risk' })}
        >
          Risk {isByRisk ? '↓' : ''}
        </button>,
      ),
    [isByRisk, change],
  );
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
        columns={columns}
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
