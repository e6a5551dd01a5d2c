// One endpoint: how it is used, by whom, how it answers and how fast, from the calls in the lake.
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link, useParams } from 'react-router';

import { api, got } from '../../api/client';
import type { Endpoint } from '../../api/types';
import { useWhileWatched } from '../../live/now';
import { useAddress } from '../../parts/address';
import { type Fact, Facts, Loading, Page, Panel, Time, timelinePath, Trouble, Waiting } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { useIsIn, useSteady } from '../../parts/steady';
import { bytes, count, share } from '../../parts/words';
import { AccessOf, FieldsOf } from './AccessAndFields';
import { Template } from './ApisPage';
import { Carries } from './Carries';
import { Confidence } from './Confidence';
import { CorrectTemplate } from './CorrectTemplate';
import { OverTime } from './OverTime';
import { useGaps, useNotKept } from '../timeline/marks';
import { DataOf } from '../posture/DataOf';
import { Risk, RiskFigure } from '../posture/Risk';
import { WeaknessesOf } from '../posture/WeaknessesOf';
import { useInventory } from './inventory';
import { type Caller, isWithoutLake, overTimeOf, SPANS, type Span, summaryOf } from './questions';
import { type Of, useCallersAgain } from './tables';
import { servicePath } from './service';

const AGAIN_MS = 30_000;

export default function EndpointPage() {
  const { id = '' } = useParams();
  const found = useQuery({
    queryKey: ['endpoint', id],
    queryFn: ({ signal }) => got(api.GET('/api/v1/endpoints/{id}', { params: { path: { id } }, signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
  const endpoint = found.data;
  if (!endpoint) return <Waiting title="Endpoint" of={found} />;
  return <OneEndpoint endpoint={endpoint} />;
}

function OneEndpoint({ endpoint }: { endpoint: Endpoint }) {
  const [query, change] = useAddress();
  const { key } = endpoint;
  const known = useInventory(endpoint.id).data;
  const span = SPANS.find((one) => one.id === query.get('last')) ?? SPANS[1];
  const title = `${key.method} ${key.template}`;
  const facts: Fact[] = [
    [
      'Service',
      <Link key="s" to={servicePath(key)}>
        {endpoint.service_name || key.service}
      </Link>,
    ],
    ['Gateway', key.gateway],
    ['Template', endpoint.explanation],
    ['Confidence', <Confidence key="c" endpoint={endpoint} />],
    ['Learnt from', `${count(endpoint.calls)} calls`],
    ['First seen', <Time key="f" ms={endpoint.first_seen_ms} />],
    ['Last seen', <Time key="l" ms={endpoint.last_seen_ms} />],
    ['Id', <code key="i">{endpoint.id}</code>],
    ...(endpoint.merged_into
      ? ([
          [
            'Lives on in',
            <Link key="m" to={`/apis/${endpoint.merged_into}`}>
              {endpoint.merged_into}
            </Link>,
          ],
        ] as Fact[])
      : []),
  ];
  return (
    <Page
      title={title}
      under={{ to: '/apis', name: 'APIs' }}
      after={
        <>
          {known?.risk && (
            <span className="row">
              <span className="faint">risk</span> <RiskFigure risk={known.risk} />
            </span>
          )}
          <div className="spread" />
          <div className="tabs" role="group" aria-label="Time">
            {SPANS.map((one) => (
              <Button
                key={one.id}
                size="compact-xs"
                variant={one === span ? 'light' : 'subtle'}
                color={one === span ? undefined : 'gray'}
                onClick={() => change({ last: one === SPANS[1] ? null : one.id })}
              >
                {one.id}
              </Button>
            ))}
          </div>
        </>
      }
    >
      <div className="alert">
        <div className="stack">
          <Use id={endpoint.id} gateway={key.gateway} span={span} />
          <WeaknessesOf place={{ endpoint: endpoint.id }} />
          {known && <DataOf known={known} gateway={key.gateway} />}
          <Carries endpoint={endpoint} />
          <Tables key={span.id} id={endpoint.id} span={span} />
        </div>
        <div className="stack">
          <Panel title={<Template text={key.template} />}>
            <Facts facts={facts} />
            <div className="row wraps" style={{ marginTop: 12, justifyContent: 'space-between' }}>
              <Link to={`/hunt?q=${encodeURIComponent(`endpoint:${endpoint.id}`)}`}>Its calls</Link>
              <CorrectTemplate endpoint={endpoint} />
            </div>
          </Panel>
          <Risk risk={known?.risk ?? null} place={{ endpoint: endpoint.id }} />
        </div>
      </div>
    </Page>
  );
}

function Use({ id, gateway, span }: { id: string; gateway: string; span: Span }) {
  const again = useWhileWatched(AGAIN_MS);
  const use = useQuery({
    queryKey: ['endpoint use', id, span.id],
    queryFn: ({ signal }) => overTimeOf(id, span, signal),
    refetchInterval: again,
  });
  const sums = useQuery({
    queryKey: ['endpoint sums', id, span.id],
    queryFn: ({ signal }) => summaryOf(id, span, signal),
    refetchInterval: again,
  });
  const notKept = useNotKept(use.data);
  const gaps = useGaps(gateway, use.data);
  const stretches = useMemo(() => [...notKept, ...gaps], [notKept, gaps]);
  if (isWithoutLake(use.error))
    return <p className="muted">This outrider keeps no lake, so there is no history to show.</p>;
  const sum = sums.data;
  const figures: [string, string][] = [
    ['Calls', count(sum?.calls)],
    ['Consumers', count(sum?.consumers)],
    ['Addresses', count(sum?.addresses)],
    ['Errors', sum && sum.calls > 0 ? share(sum.errors / sum.calls) : '–'],
    ['p50 latency', sum?.p50 == null ? '–' : `${Math.round(sum.p50)} ms`],
    ['p95 latency', sum?.p95 == null ? '–' : `${Math.round(sum.p95)} ms`],
    ['p50 answer', bytes(sum?.size)],
  ];
  return (
    <>
      <div className="figures">
        {figures.map(([name, value]) => (
          <div key={name}>
            <div className="faint">{name}</div>
            <div className="figure number">{value}</div>
          </div>
        ))}
      </div>
      {(use.error ?? sums.error) && <Trouble error={use.error ?? sums.error} again={() => void use.refetch()} />}
      <OverTime use={use.data} stepMs={span.stepMs} stretches={stretches} />
    </>
  );
}

/** They are read again, and nothing in them moves while the pointer or the keys are in one of them. */
export function Tables(of: Of) {
  const { isIn, around } = useIsIn();
  return (
    <div className="stack" {...around}>
      <Callers {...of} isHeld={isIn} />
      <AccessOf {...of} isHeld={isIn} />
      <FieldsOf {...of} isHeld={isIn} />
    </div>
  );
}

function Callers({ isHeld, ...of }: Of & { isHeld: boolean }) {
  const callers = useCallersAgain(of);
  const keyOf = (caller: Caller) => `${caller.gateway} ${caller.consumer_id ?? ''}`;
  const { shown } = useSteady(callers.data ?? [], keyOf, isHeld);
  const columns: Column<Caller>[] = [
    {
      id: 'who',
      head: 'Who',
      width: 'minmax(0, 2fr)',
      cell: (caller) =>
        caller.consumer_id ? (
          <Link to={timelinePath({ kind: 'consumer', value: caller.consumer_id, gateway: caller.gateway })}>
            {caller.name ?? caller.consumer_id}
          </Link>
        ) : (
          <span className="muted">nobody that the gateway knows</span>
        ),
    },
    { id: 'gateway', head: 'Gateway', width: 'minmax(0, 1fr)', cell: (caller) => caller.gateway },
    { id: 'calls', head: 'Calls', width: '90px', isNumber: true, cell: (caller) => count(caller.calls) },
    {
      id: 'errors',
      head: 'Errors',
      width: '80px',
      isNumber: true,
      cell: (caller) => share(caller.errors / caller.calls),
    },
    { id: 'addresses', head: 'Addresses', width: '80px', isNumber: true, cell: (caller) => count(caller.addresses) },
  ];
  if (isWithoutLake(callers.error)) return null;
  return (
    <Panel title="Callers" flush after={<span className="faint">the 20 with the most calls</span>}>
      {callers.data ? (
        <SmallTable label="Callers" rows={shown} columns={columns} rowKey={keyOf} />
      ) : callers.error ? (
        <div style={{ padding: 16 }}>
          <Trouble error={callers.error} again={() => void callers.refetch()} />
        </div>
      ) : (
        <div style={{ padding: 16 }}>
          <Loading lines={3} />
        </div>
      )}
    </Panel>
  );
}
