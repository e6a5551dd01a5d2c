// What an endpoint carries, as it was learned from its calls since it was first seen: parameters, authentication, answers, sizes.
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';

import { api, got, type Schemas } from '../../api/client';
import type { Endpoint, EndpointInventory, ParameterInventory } from '../../api/types';
import { Empty, Loading, Panel, StatusCode, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { bytes, count, counted, length, share } from '../../parts/words';
import { authWords, kindsTitle, mixedAuth, rangeWords, typeWords } from './carrying';
import { useInventory } from './inventory';

/** So many values are listed. */
const VALUES_SHOWN = 8;

export function Carries({ endpoint }: { endpoint: Endpoint }) {
  const found = useInventory(endpoint.id);
  const known = found.data;
  return (
    <Panel
      title="What it carries"
      flush
      after={
        known && (
          <span
            className="faint"
            title="Parameters are read from the first calls, and from some of those that come later"
          >
            of {counted(known.known, 'call')} by {counted(known.consumers, 'consumer')} since it was first seen
          </span>
        )
      }
    >
      {found.error && (
        <div className="padded">
          <Trouble error={found.error} again={() => void found.refetch()} />
        </div>
      )}
      {found.isPending && (
        <div className="padded">
          <Loading lines={3} />
        </div>
      )}
      {known === null && (
        <Empty title="Not known yet.">
          <p>What an endpoint carries is known some minutes after its first calls. This fills by itself.</p>
        </Empty>
      )}
      {known && <Known known={known} gateway={endpoint.key.gateway} />}
    </Panel>
  );
}

function Known({ known, gateway }: { known: EndpointInventory; gateway: string }) {
  const mixed = mixedAuth(known);
  const carrier = known.key_carrier;
  return (
    <>
      {known.parameters.length > 0 ? (
        <SmallTable
          label="Parameters"
          rows={known.parameters}
          columns={columnsOf(known.read)}
          rowKey={({ location, name }) => `${location} ${name}`}
        />
      ) : (
        <p className="muted padded">
          No parameter was seen in {counted(known.read, 'call')} that {known.read === 1 ? 'was' : 'were'} read.
        </p>
      )}
      <div className="carries">
        <Block
          title="Authentication"
          after={
            mixed && (
              <span className={mixed.isOpen ? 'tag danger' : 'tag warning'} title={mixed.sentence}>
                {mixed.word}
              </span>
            )
          }
        >
          <Counts
            of={known.auth.map(({ kind, calls, calls_ok }) => ({
              name: authWords(kind),
              calls,
              title: `${count(calls_ok)} of ${count(calls)} answered 2xx`,
            }))}
          />
          {mixed && (
            <p className={mixed.isOpen ? 'bad' : 'warn'} role="note">
              {mixed.sentence}
            </p>
          )}
          {carrier && (
            <p className="muted">
              The key is in the {carrier.location === 'header' ? 'header' : carrier.location}{' '}
              <code className="wrap">{carrier.name}</code>.
            </p>
          )}
        </Block>
        <Block title="Answers">
          <Counts
            of={known.statuses.map(({ status, calls }) => ({
              name: status === 0 ? 'not said' : String(status),
              shown: status === 0 ? undefined : <StatusCode status={status} />,
              calls,
            }))}
          />
        </Block>
        <Block title="Media types">
          <Counts
            of={known.media_types.map(({ name, measured }) => ({
              name,
              calls: measured,
              title: `${counted(measured, 'call')} of those that were measured`,
            }))}
            isCode
          />
        </Block>
        <Sizes known={known} />
        <Routes routes={known.routes} gateway={gateway} />
        {known.versions.length > 0 && (
          <Block title={known.versions.length === 1 ? 'Version' : 'Versions'}>
            <Values of={known.versions} />
          </Block>
        )}
      </div>
    </>
  );
}

function columnsOf(read: number): Column<ParameterInventory>[] {
  return [
    {
      id: 'location',
      head: 'In',
      width: '52px',
      cell: ({ location }) => <span className="muted">{location}</span>,
    },
    {
      id: 'name',
      head: 'Parameter',
      width: 'minmax(0, 1.1fr)',
      cell: ({ name, repeated }) => (
        <>
          <code title={name}>{name}</code>{' '}
          {repeated > 0 && (
            <span className="faint" title={`${counted(repeated, 'call')} had it more than once`}>
              repeats
            </span>
          )}
        </>
      ),
    },
    {
      id: 'type',
      head: 'Type',
      width: 'minmax(0, 0.9fr)',
      cell: (parameter) => (
        <span className="muted" title={kindsTitle(parameter) ?? typeWords(parameter)}>
          {typeWords(parameter)}
        </span>
      ),
    },
    {
      id: 'presence',
      head: 'In calls',
      width: 'minmax(0, 0.9fr)',
      cell: ({ calls, location }) => {
        // What a path has stands in each of its calls; those from before the template was as it is are not counted.
        if (location === 'path') return <Presence of={1} title={`${counted(calls, 'call')} read under this path`} />;
        const title = `${count(calls)} of ${count(read)} calls that were read`;
        return <Presence of={read > 0 ? calls / read : 0} title={title} />;
      },
    },
    {
      id: 'values',
      head: 'Values',
      width: 'minmax(0, 1.5fr)',
      cell: (parameter) => {
        const { values, values_are_all } = parameter;
        if (values.length > 0) return <Values of={values} hasMore={!values_are_all} />;
        return <span className="number">{rangeWords(parameter) ?? <span className="faint">–</span>}</span>;
      },
    },
  ];
}

/** A share as a thin bar, with its number beside it. */
function Presence({ of, title }: { of: number; title?: string }) {
  const part = Math.min(of, 1);
  return (
    <div className="row" title={title}>
      <div className="presence spread" aria-hidden>
        <div style={{ width: `${part * 100}%` }} />
      </div>
      <span className="number presence-number">{share(part)}</span>
    </div>
  );
}

function Values({ of, hasMore = false }: { of: string[]; hasMore?: boolean }) {
  const shown = of.slice(0, VALUES_SHOWN);
  const words = [...of, ...(hasMore ? ['and others'] : [])].join(', ');
  return (
    <span className="values" title={words}>
      {shown.map((value) => (
        <code key={value}>{value}</code>
      ))}
      {(hasMore || of.length > shown.length) && <span className="faint">and others</span>}
    </span>
  );
}

function Block({ title, after, children }: { title: string; after?: ReactNode; children: ReactNode }) {
  return (
    <section>
      <div className="row">
        <h3>{title}</h3>
        {after}
      </div>
      {children}
    </section>
  );
}

interface Counted {
  name: string;
  shown?: ReactNode;
  calls: number;
  title?: string;
}

/** Names with the share of each, under one another. */
function Counts({ of, isCode }: { of: Counted[]; isCode?: boolean }) {
  const all = of.reduce((sum, { calls }) => sum + calls, 0);
  if (all === 0) return <p className="faint">none seen</p>;
  return (
    <ul className="plain counts">
      {of.map(({ name, shown, calls, title }) => (
        <li key={name} title={title ?? counted(calls, 'call')}>
          <span className="cut" title={name}>
            {shown ?? (isCode ? <code>{name}</code> : name)}
          </span>
          <Presence of={calls / all} />
        </li>
      ))}
    </ul>
  );
}

/** Short times exactly, because quantiles are compared. */
function milliseconds(value: number): string {
  return value < 10_000 ? `${count(value)} ms` : length(value);
}

/** Sizes and times are of calls that were measured. */
function Sizes({ known: { latency_ms, request_bytes, response_bytes } }: { known: EndpointInventory }) {
  const rows: [string, Schemas['Quantiles'] | null, (value: number) => string][] = [
    ['Latency', latency_ms, milliseconds],
    ['Request', request_bytes, bytes],
    ['Answer', response_bytes, bytes],
  ];
  return (
    <Block title="Latency and sizes">
      <table className="quantiles">
        <thead>
          <tr>
            <td />
            {['p50', 'p95', 'p99', 'most'].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, of, words]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {([of?.p50, of?.p95, of?.p99, of?.max] as const).map((value, index) => (
                <td key={index} className="number">
                  {value === undefined ? '–' : words(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Block>
  );
}

/** A configuration changes rarely, and may be large. */
const NAMES_STALE_MS = 600_000;

/** Routes are known by their ids; what they are called the gateway's configuration knows, where that was read. */
function Routes({ routes, gateway }: { routes: Schemas['NamedCount'][]; gateway: string }) {
  const configuration = useQuery({
    queryKey: ['gateway', gateway],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/gateways/{name}/configuration', { params: { path: { name: gateway } }, signal })),
    enabled: routes.length > 0,
    staleTime: NAMES_STALE_MS,
    retry: false,
  });
  const names = new Map(configuration.data?.configuration.routes.map(({ id, name }) => [id, name]));
  return (
    <Block title="Routes">
      <Counts
        of={routes.map(({ name, calls }) => ({
          name,
          shown: names.get(name) ?? undefined,
          calls,
          title: `${name}\n${counted(calls, 'call')}`,
        }))}
        isCode
      />
    </Block>
  );
}
