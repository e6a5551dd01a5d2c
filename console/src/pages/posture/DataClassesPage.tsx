// Classes of data, and where each goes: to which endpoints, in what, and from whom.
import { useState } from 'react';
import { Link } from 'react-router';

import type { ClassRow } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Command, Empty, Page, Time } from '../../parts/basics';
import { Choice, withChosen } from '../../parts/Choice';
import { type Column, PagedTable } from '../../parts/DataTable';
import { FirstSteps } from '../../parts/FirstSteps';
import { count, counted, share, short } from '../../parts/words';
import { nameOf, useApis } from '../apis/service';
import { classWords, familyLooks, familyWords, locationWords } from './classes';
import { PostureTabs } from './PostureTabs';
import { useClasses, useConsumerNames, useGateways } from './reading';
import { ConsumerLink, EndpointLink } from './tags';

/** So many are listed of one class, and with each click as many more. */
const SHOWN = 15;

const COLUMNS: Column<ClassRow>[] = [
  {
    id: 'class',
    head: 'Class',
    width: 'minmax(110px, 1.2fr)',
    cell: (row) => <ClassName row={row} />,
  },
  {
    id: 'family',
    head: 'Family',
    width: '96px',
    cell: ({ family }) => <span className={`tag ${familyLooks(family)}`}>{familyWords(family)}</span>,
  },
  {
    id: 'where',
    head: <span title="parameters that carry it">In parameters</span>,
    width: 'minmax(90px, 1fr)',
    cell: (row) => <span title={locationWords(row)}>{locationWords(row)}</span>,
  },
  {
    id: 'endpoints',
    head: 'Endpoints',
    width: '68px',
    isNumber: true,
    cell: ({ endpoints }) => count(endpoints.length),
  },
  {
    id: 'values',
    head: 'Values',
    width: '64px',
    isNumber: true,
    cell: ({ values }) => <span title={`${count(values)} of calls whose parameters were read`}>{short(values)}</span>,
  },
  {
    id: 'replaced',
    head: <span title="values that the collector replaced by pseudonyms">Pseudonyms</span>,
    width: '82px',
    isNumber: true,
    needsRoom: true,
    cell: ({ values, replaced }) => (values > 0 ? share(replaced / values) : '–'),
  },
  {
    id: 'consumers',
    head: 'Consumers',
    width: '76px',
    isNumber: true,
    cell: ({ consumers }) => count(consumers.length),
  },
  {
    id: 'seen',
    head: 'Seen last',
    width: '72px',
    isNumber: true,
    cell: ({ last_seen_ms }) => <Time ms={last_seen_ms} relative />,
  },
];

const nothingMore = () => undefined;

function ClassName({ row }: { row: ClassRow }) {
  const [query] = useAddress();
  const next = new URLSearchParams(query);
  next.set('class', row.class);
  return (
    <Link
      className="whole cut"
      to={{ search: next.toString() }}
      replace
      title={row.class}
      aria-current={query.get('class') === row.class ? 'true' : undefined}
    >
      <strong>{classWords(row.class)}</strong>
    </Link>
  );
}

export function DataClassesPage() {
  const [query, change] = useAddress();
  const apis = useApis().data?.items;
  const service = query.get('service') ?? undefined;
  const classes = useClasses(service ? { service } : {});
  const rows = classes.data?.items ?? [];
  const chosen = rows.find((row) => row.class === query.get('class'));
  const services = [...new Set((apis ?? []).map(nameOf))].sort();
  return (
    <Page
      title="Posture"
      full
      after={
        <>
          <PostureTabs of="data" />
          <span className="faint">{classes.data && counted(rows.length, 'class', 'classes')}</span>
        </>
      }
    >
      <div className="filters">
        <Choice
          label="Service"
          name="service"
          any="Any service"
          value={service}
          data={withChosen(services, service)}
          width={180}
          searchable
        />
        <span className="faint spread">
          Kong logs no bodies: of what is in them, only mapped fields are seen. An endpoint’s page says how to map one.
        </span>
      </div>
      <div className="calls">
        <PagedTable
          pages={{ ...classes, rows, onEnd: nothingMore }}
          label="Data classes"
          columns={COLUMNS}
          rowKey={(row) => row.class}
          rowHeight={44}
          opened={chosen?.class}
          onOpen={(row) => change({ class: row.class })}
          empty={<NoClasses hasCalls={apis?.length !== 0} isFiltered={service !== undefined} />}
        />
        {chosen && <WhereItGoes key={chosen.class} row={chosen} />}
      </div>
    </Page>
  );
}

function WhereItGoes({ row }: { row: ClassRow }) {
  const gateways = useGateways().data?.items ?? [];
  const names = useConsumerNames(row.consumers.length > 0 ? gateways.map(({ gateway }) => gateway) : []);
  return (
    <section className="facets goes" aria-label={`Where ${classWords(row.class)} goes`}>
      <div>
        <h2>{classWords(row.class)}</h2>
        <p className="muted">
          {counted(row.values, 'value')} in {counted(row.calls, 'call')} of these endpoints,{' '}
          {row.replaced === row.values ? 'all' : count(row.replaced)} of them replaced by pseudonyms at the collector.
        </p>
      </div>
      <Listed title="Goes to" of={row.endpoints} show={(id) => <EndpointLink id={id} />} />
      <Listed
        title="Sent by"
        of={row.consumers}
        show={(id) => <ConsumerLink id={id} name={names.get(id)} />}
        none="No consumer that the gateway knows, or nobody remembers: of each endpoint the ones that sent most are kept."
      />
    </section>
  );
}

interface ListedProps {
  title: string;
  of: string[];
  show: (id: string) => React.ReactNode;
  none?: string;
}

function Listed({ title, of, show, none }: ListedProps) {
  const [shown, setShown] = useState(SHOWN);
  return (
    <div>
      <h2>{title}</h2>
      {of.length === 0 && <p className="faint">{none}</p>}
      <ul className="plain linked">
        {of.slice(0, shown).map((id) => (
          <li key={id}>{show(id)}</li>
        ))}
      </ul>
      {of.length > shown && (
        <button type="button" className="link-button link" onClick={() => setShown(shown + SHOWN)}>
          and {counted(of.length - shown, 'other')}
        </button>
      )}
    </div>
  );
}

function NoClasses({ hasCalls, isFiltered }: { hasCalls: boolean; isFiltered: boolean }) {
  if (isFiltered) {
    return (
      <Empty title="No class of data was seen at this service.">
        <Link to="/posture/data">Show those of all services</Link>
      </Empty>
    );
  }
  if (!hasCalls) return <FirstSteps />;
  return (
    <Empty title="No class of data is known yet.">
      <p>
        It is told of parameters of the path and the query, headers and mapped fields, once enough values were of it.
        What it would say of a value that you have in hand:
      </p>
      <Command>{`echo '{"name": "mail", "value": "alice@corp.example"}' | outrider classify`}</Command>
      <p>Kong logs no bodies. This takes a part of one that a plugin leaves in the log, in outrider.toml:</p>
      <Command>{'[[collector.sources.fields]]\nname = "email"\nvalue = "line.body.email"'}</Command>
    </Empty>
  );
}
