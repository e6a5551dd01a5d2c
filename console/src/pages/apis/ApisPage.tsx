// Every endpoint that outrider found, with how it was used of late: searched and sorted by the API.
import { Select } from '@mantine/core';
import { Link, useNavigate } from 'react-router';

import { api, got } from '../../api/client';
import type { paths } from '../../api/schema';
import type { EndpointFigures, EndpointRow } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, Page, Time } from '../../parts/basics';
import { Choice, withChosen } from '../../parts/Choice';
import { type Column, PagedTable } from '../../parts/DataTable';
import { Field } from '../../parts/Field';
import { usePages, useReadAgain } from '../../parts/pages';
import { bytes, count, share, short } from '../../parts/words';
import { useServices } from '../policies/suggestions';
import { RiskFigure } from '../posture/Risk';
import { accessWord } from './access';
import { ApisTabs } from './ApisTabs';
import { SPANS } from './questions';
import { servicePath } from './service';

type Sort = NonNullable<NonNullable<paths['/api/v1/endpoints']['get']['parameters']['query']>['sort']>;

/** Columns of the figures, each with what the list is sorted by when one asks for it. */
const FIGURES: {
  sort: Sort;
  head: string;
  width: string;
  of: (figures: EndpointFigures) => string;
  title?: (figures: EndpointFigures) => string;
}[] = [
  {
    sort: 'last_calls',
    head: 'Calls',
    width: '56px',
    of: ({ calls }) => short(calls),
    title: ({ calls }) => count(calls),
  },
  { sort: 'consumers', head: 'Consumers', width: '78px', of: ({ consumers }) => short(consumers) },
  {
    sort: 'error_share',
    head: 'Errors',
    width: '54px',
    of: ({ calls, error_share }) => (calls === 0 ? '–' : share(error_share)),
  },
  {
    sort: 'latency_p95',
    head: 'p95 latency',
    width: '82px',
    of: ({ latency_p95_ms }) => milliseconds(latency_p95_ms),
    title: ({ latency_p50_ms }) => `median ${milliseconds(latency_p50_ms)}`,
  },
  {
    sort: 'response_size',
    head: 'Answer size',
    width: '82px',
    of: ({ response_p50_bytes }) => bytes(response_p50_bytes),
    title: ({ request_p50_bytes }) => `the median; of requests ${bytes(request_p50_bytes)}`,
  },
];

/** In a narrow window they are left out, unless the list is sorted by them. */
const NEED_ROOM: Sort[] = ['consumers', 'response_size'];

function milliseconds(value: number | null): string {
  return value === null ? '–' : `${Math.round(value)} ms`;
}

const SORTS: Sort[] = ['risk', 'calls', 'first_seen', 'last_seen', ...FIGURES.map((figure) => figure.sort)];

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

function LetIn({ figures }: { figures: EndpointFigures | null }) {
  const access = accessWord(figures?.access ?? []);
  if (!access) return '–';
  return (
    <span className={access.isMixed ? 'tag danger' : 'muted'} title={access.title}>
      {access.word}
    </span>
  );
}

export default function ApisPage() {
  const [query, change] = useAddress();
  const navigate = useNavigate();
  const services = useServices();
  const span = SPANS.find((one) => one.id === query.get('last')) ?? SPANS[1];
  const sort = SORTS.find((one) => one === query.get('sort')) ?? 'calls';
  const filter = {
    service: query.get('service') ?? undefined,
    method: query.get('method') ?? undefined,
    contains: query.get('contains') ?? undefined,
    last: span.id,
    sort,
  };
  const endpoints = usePages(['endpoints', filter], (cursor, signal) =>
    got(api.GET('/api/v1/endpoints', { params: { query: { ...filter, limit: 200, cursor } }, signal })),
  );
  useReadAgain(endpoints.refetch);
  const isFiltered = Boolean(filter.service ?? filter.method ?? filter.contains);
  const sorted = (name: Sort, words: string, title?: string) => (
    <button
      type="button"
      className="sort"
      title={title}
      aria-pressed={sort === name}
      onClick={() => change({ sort: name === 'calls' ? null : name })}
    >
      {words} {sort === name ? '↓' : ''}
    </button>
  );
  // Columns stay while another order is read.
  const hasFigures = endpoints.isPending || endpoints.rows.some((endpoint) => endpoint.figures !== null);
  // They were asked for: a lake that is busy or away has none.
  const lacksFigures = endpoints.rows.length > 0 && !hasFigures;
  const columns: Column<EndpointRow>[] = [
    {
      id: 'method',
      head: 'Method',
      width: '56px',
      cell: (endpoint) => <code className="muted">{endpoint.key.method}</code>,
    },
    {
      id: 'template',
      head: 'Endpoint',
      width: 'minmax(160px, 3fr)',
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
      cell: ({ key, service_name }) => (
        <Link to={servicePath(key)} title={`at ${key.gateway}`}>
          {service_name || key.service}
        </Link>
      ),
    },
    {
      id: 'risk',
      head: sorted('risk', 'Risk', 'from 0 to 10'),
      width: '46px',
      isNumber: true,
      cell: ({ risk }) => <RiskFigure risk={risk} />,
    },
    {
      id: 'calls',
      head: sorted(
        'calls',
        'Learnt from',
        'calls since it was first seen, without those that a block or limit of outrider refused',
      ),
      width: '84px',
      isNumber: true,
      cell: (endpoint) => <span title={count(endpoint.calls)}>{short(endpoint.calls)}</span>,
    },
    ...(hasFigures
      ? [
          {
            id: 'access',
            head: <span title={`by what those were known who were served in the last ${span.id}`}>Let in by</span>,
            width: '80px',
            cell: ({ figures }: EndpointRow) => <LetIn figures={figures} />,
          },
        ]
      : []),
    ...(hasFigures
      ? FIGURES.map(({ sort: name, head, width, of, title }): Column<EndpointRow> => ({
          id: name,
          head: sorted(name, head, `in the last ${span.id}`),
          width,
          isNumber: true,
          needsRoom: NEED_ROOM.includes(name) && sort !== name,
          cell: ({ figures }) => (figures ? <span title={title?.(figures)}>{of(figures)}</span> : '–'),
        }))
      : []),
    {
      id: 'first',
      head: sorted('first_seen', 'First seen'),
      width: '74px',
      isNumber: true,
      needsRoom: sort !== 'first_seen',
      cell: (endpoint) => <Time ms={endpoint.first_seen_ms} relative />,
    },
    {
      id: 'last',
      head: sorted('last_seen', 'Last seen'),
      width: '74px',
      isNumber: true,
      cell: (endpoint) => <Time ms={endpoint.last_seen_ms} relative />,
    },
  ];
  return (
    <Page
      title="APIs"
      full
      after={
        <>
          <ApisTabs of="endpoints" />
          <span className="faint">
            {endpoints.isSuccess ? `${endpoints.rows.length}${endpoints.hasNextPage ? '+' : ''} endpoints` : ''}
          </span>
        </>
      }
    >
      <div className="filters">
        <Field label="Path contains" name="contains" width={240} isSearch />
        <Choice
          label="Service"
          name="service"
          any="Any service"
          value={filter.service}
          data={withChosen(services, filter.service)}
          width={180}
          searchable
        />
        <Choice label="Method" name="method" any="Any method" value={filter.method} data={METHODS} width={130} />
        <div className="spread" />
        {lacksFigures && (
          <span className="faint" role="status">
            No figures: the lake is off, or does not answer just now.
          </span>
        )}
        <Select
          size="xs"
          w={130}
          allowDeselect={false}
          aria-label="Time of the figures"
          value={span.id}
          data={SPANS.map((one) => ({ value: one.id, label: `Last ${one.id}` }))}
          onChange={(value) => change({ last: value === SPANS[1].id ? null : value })}
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
