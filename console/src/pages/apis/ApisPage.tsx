// Every endpoint that outrider found: searchable, the busiest or the newest first.
import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate } from 'react-router';

import { api, got } from '../../api/client';
import type { Endpoint } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, Page, Time } from '../../parts/basics';
import { type Column, PagedTable } from '../../parts/DataTable';
import { Field } from '../../parts/Field';
import { usePages } from '../../parts/pages';
import { count, share } from '../../parts/words';
import { useServices } from '../policies/suggestions';
import { type DayOfEndpoint, dayOfAll } from './questions';

function dayColumns(days: Map<string, DayOfEndpoint>): Column<Endpoint>[] {
  const of = (endpoint: Endpoint) => days.get(endpoint.id);
  const head = (words: string) => <span title="in the last 24 hours">{words}</span>;
  return [
    {
      id: 'consumers',
      head: head('Consumers'),
      width: '76px',
      isNumber: true,
      cell: (endpoint) => count(of(endpoint)?.consumers),
    },
    {
      id: 'errors',
      head: head('Errors'),
      width: '54px',
      isNumber: true,
      cell: (endpoint) => {
        const found = of(endpoint);
        return found ? share(found.errors / found.calls) : '–';
      },
    },
    {
      id: 'p95',
      head: head('95th pct.'),
      width: '66px',
      isNumber: true,
      cell: (endpoint) => (of(endpoint)?.p95 === undefined ? '–' : `${Math.round(of(endpoint)!.p95!)} ms`),
    },
  ];
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

export function Template({ text }: { text: string }) {
  return (
    <code title={text}>
      {text.split(/(\{[^}]*\})/).map((part, index) =>
        part.startsWith('{') ? (
          <span key={index} className="parameter">
            {part}
          </span>
        ) : (
          part
        ),
      )}
    </code>
  );
}

export default function ApisPage() {
  const [query, change] = useAddress();
  const navigate = useNavigate();
  const services = useServices();
  const sort = query.get('sort') === 'first_seen' ? ('first_seen' as const) : ('calls' as const);
  const filter = {
    service: query.get('service') ?? undefined,
    method: query.get('method') ?? undefined,
    contains: query.get('contains') ?? undefined,
    sort,
  };
  const endpoints = usePages(['endpoints', filter], (cursor, signal) =>
    got(api.GET('/api/v1/endpoints', { params: { query: { ...filter, limit: 200, cursor } }, signal })),
  );
  // Numbers of the day come from the lake; without one, or while it answers, they are not there.
  const days = useQuery({
    queryKey: ['endpoints of a day'],
    queryFn: ({ signal }) => dayOfAll(signal),
    staleTime: 60_000,
    retry: false,
  });
  const isFiltered = Boolean(filter.service ?? filter.method ?? filter.contains);
  const sorted = (name: typeof sort, words: string) => (
    <button
      type="button"
      className="sort"
      aria-pressed={sort === name}
      onClick={() => change({ sort: name === 'calls' ? null : name })}
    >
      {words} {sort === name ? '↓' : ''}
    </button>
  );
  const columns: Column<Endpoint>[] = [
    {
      id: 'method',
      head: 'Method',
      width: '56px',
      cell: (endpoint) => <code className="muted">{endpoint.key.method}</code>,
    },
    {
      id: 'template',
      head: 'Endpoint',
      width: 'minmax(170px, 3fr)',
      cell: (endpoint) => (
        <>
          <Link className="whole" to={`/apis/${endpoint.id}`}>
            <Template text={endpoint.key.template} />
          </Link>{' '}
          {endpoint.provisional && (
            <span className="tag warning" title={endpoint.explanation}>
              learning
            </span>
          )}
        </>
      ),
    },
    {
      id: 'service',
      head: 'Service',
      width: 'minmax(64px, 1fr)',
      cell: (endpoint) => <span title={endpoint.key.service}>{endpoint.service_name || endpoint.key.service}</span>,
    },
    {
      id: 'gateway',
      head: 'Gateway',
      width: 'minmax(56px, 0.7fr)',
      cell: (endpoint) => <span className="muted">{endpoint.key.gateway}</span>,
    },
    {
      id: 'calls',
      head: sorted('calls', 'Calls'),
      width: '66px',
      isNumber: true,
      cell: (endpoint) => count(endpoint.calls),
    },
    ...(days.data ? dayColumns(days.data) : []),
    {
      id: 'first',
      head: sorted('first_seen', 'First seen'),
      width: '88px',
      isNumber: true,
      cell: (endpoint) => <Time ms={endpoint.first_seen_ms} />,
    },
    {
      id: 'last',
      head: 'Last seen',
      width: '72px',
      isNumber: true,
      cell: (endpoint) => <Time ms={endpoint.last_seen_ms} relative />,
    },
  ];
  return (
    <Page
      title="APIs"
      full
      after={
        <span className="faint">
          {endpoints.isSuccess ? `${endpoints.rows.length}${endpoints.hasNextPage ? '+' : ''} endpoints` : ''}
        </span>
      }
    >
      <div className="filters">
        <Field label="Path contains" name="contains" width={240} isSearch />
        <Select
          size="xs"
          w={180}
          clearable
          searchable
          placeholder="Any service"
          aria-label="Service"
          value={filter.service ?? null}
          data={filter.service && !services.includes(filter.service) ? [filter.service, ...services] : services}
          onChange={(value) => change({ service: value })}
        />
        <Select
          size="xs"
          w={130}
          clearable
          placeholder="Any method"
          aria-label="Method"
          value={filter.method ?? null}
          data={METHODS}
          onChange={(value) => change({ method: value })}
        />
      </div>
      <PagedTable
        pages={endpoints}
        label="Endpoints"
        columns={columns}
        rowKey={(endpoint) => endpoint.id}
        onOpen={(endpoint) => void navigate(`/apis/${endpoint.id}`)}
        empty={
          isFiltered ? (
            <Empty title="No endpoint fits these filters.">
              <Link to="/apis">Show all endpoints</Link>
            </Empty>
          ) : (
            <Empty title="No endpoints yet.">
              <p>outrider finds them in the gateway’s log, with the first calls. Does it arrive?</p>
              <Command>outrider doctor --config outrider.toml</Command>
            </Empty>
          )
        }
      />
    </Page>
  );
}
