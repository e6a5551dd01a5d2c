// The way of a call, drawn: gateway, collector, platform, responder, and back to the gateway. Each says how it does.
import { skipToken, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'react-router';

import { droppedBy, type Parts, partsOf, type SilentService } from '../../api/parts';
import { isUntouched, type Status } from '../../api/status';
import { Spark } from '../../charts/Spark';
import type { Summary } from '../../live/follow';
import { rateOf, seriesOf } from '../../live/rates';
import { Loading, Panel, Time } from '../../parts/basics';
import { FirstSteps } from '../../parts/FirstSteps';
import { keptShortly, keptWords } from '../../parts/keeping';
import { bytes, count, length, rate } from '../../parts/words';

type Health = 'ok' | 'warn' | 'bad' | 'faint';

type Fact = [name: string, value: ReactNode, health?: Health];

interface Station {
  name: string;
  health: Health;
  state: string;
  figure: ReactNode;
  unit: string;
  facts: Fact[];
}

/** A gateway that says nothing for this long is worth a look. */
const SILENT_MS = 60_000;
/** Calls that wait for longer than this in a spool are late. */
const LAG_MS_MAX = 10_000;

export function Flow({ status }: { status: Status | undefined }) {
  const summary = useQuery<Summary>({ queryKey: ['summary'], queryFn: skipToken });
  if (!status) {
    return (
      <Panel title="Flow">
        <Loading />
      </Panel>
    );
  }
  const parts = partsOf(status);
  const stations = [gateway(parts), collector(parts), platform(status, summary.data), responder(parts)];
  const ways = [rate(rateOf('received')), rate(rateOf('analysed')), `${sum(parts.responders, 'own_plugins')} held`];
  return (
    <>
      <section className="flow" aria-label="Flow from gateway to responder">
        {stations.map((station, index) => (
          <div key={station.name} className="flow-part">
            <StationCard station={station} />
            {index < ways.length && (
              <div className={`flow-way is-${stations[index + 1]!.health}`} aria-hidden="true">
                <span className="number">{ways[index]}</span>
                <span className="flow-line" />
              </div>
            )}
          </div>
        ))}
      </section>
      {isUntouched(status) && (
        <Panel title="First steps" flush>
          <FirstSteps />
        </Panel>
      )}
    </>
  );
}

function StationCard({ station }: { station: Station }) {
  return (
    <div className={`station is-${station.health}`}>
      <div className="row">
        <span className={`live-dot ${station.health}`} />
        <h2>{station.name}</h2>
        <span className={`spread cut station-state ${station.health}`} title={station.state}>
          {station.state}
        </span>
      </div>
      <div className="station-figure">
        <span className="number">{station.figure}</span>
        <span className="faint">{station.unit}</span>
      </div>
      <dl>
        {station.facts.map(([name, value, health]) => (
          <div key={name} className="row">
            <dt className="faint">{name}</dt>
            <dd className={`number cut ${health ?? ''}`}>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function gateway({ sources, configurations, silent }: Parts): Station {
  const names = configurations.map((one) => one.gateway);
  // What a collector that does not answer said last says nothing of the gateway now.
  const heard = sources.filter((source) => !source.isSilent);
  const isUnknown = heard.length === 0 && silent.some((one) => one.kind === 'collector');
  const last = Math.max(0, ...sources.map((source) => source.last_received_ms));
  // Each by when its numbers are of: a reading gets old where nobody looks, and its gateways stay as they were.
  const isSilent = heard.every((source) => source.as_of_ms - source.last_received_ms > SILENT_MS);
  const failing = configurations.find((one) => one.failure);
  const open = sum(heard, 'connections_open');
  const state = failing
    ? 'Admin API fails'
    : isUnknown
      ? 'not known'
      : last === 0
        ? 'nothing heard yet'
        : isSilent
          ? 'silent'
          : 'sending';
  return {
    name: 'Gateways',
    health: failing ? 'bad' : state === 'sending' ? 'ok' : 'warn',
    state,
    figure: names.length,
    unit: names.length === 1 ? (names[0] ?? '') : names.slice(0, 3).join(', '),
    facts: [
      ['last line', <Time key="t" ms={last} relative />, state === 'silent' ? 'warn' : undefined],
      ['connections', count(open), open === 0 ? 'warn' : undefined],
      [
        'configuration',
        failing ? (
          <span title={failing.failure ?? ''}>{failing.failure}</span>
        ) : (
          <Link to="/settings/gateways">{names.length > 0 ? 'read' : 'not read'}</Link>
        ),
        failing ? 'bad' : undefined,
      ],
    ],
  };
}

function collector({ sources, spools, silent }: Parts): Station {
  const away = silent.filter((one) => one.kind === 'collector');
  const dropped = droppedBy(sources, spools);
  const [rejected, untrusted] = [sum(sources, 'rejected'), sum(sources, 'untrusted')];
  const isDropping = (rateOf('dropped') ?? 0) > 0;
  const lag = Math.max(0, ...spools.map((spool) => (spool.isSilent ? 0 : spool.lag_ms)));
  const isLate = lag > LAG_MS_MAX;
  return {
    name: 'Collector',
    health:
      away.length > 0 || isDropping
        ? 'bad'
        : dropped > 0 || rejected > 0 || isLate
          ? 'warn'
          : sources.length === 0
            ? 'faint'
            : 'ok',
    state:
      away.length > 0
        ? 'silent'
        : isDropping
          ? 'dropping calls'
          : isLate
            ? 'shipping late'
            : dropped > 0
              ? 'has dropped calls'
              : rejected > 0
                ? 'rejected lines'
                : sources.length === 0
                  ? 'none'
                  : 'reading',
    figure: perSecond('received'),
    unit: 'lines/s',
    facts: [
      ...away.map(silence),
      ['lines', count(sum(sources, 'received'))],
      ['dropped', count(dropped), dropped > 0 ? 'bad' : undefined],
      ['rejected', count(rejected), rejected > 0 ? 'warn' : undefined],
      ...(spools.length > 0
        ? ([['in the spool', lag === 0 ? 'nothing waits' : length(lag), isLate ? 'warn' : undefined]] as Fact[])
        : []),
      ...(untrusted > 0 ? ([['untrusted', count(untrusted), 'warn']] as Fact[]) : []),
    ],
  };
}

function platform(status: Status, summary: Summary | undefined): Station {
  const progress = status.platform?.progress;
  const lag = summary?.analysed_at_ms ? Math.max(0, summary.at_ms - summary.analysed_at_ms) : undefined;
  const isBehind = status.platform?.caught_up === false || (lag ?? 0) > 10_000;
  const missing = status.platform?.log?.missing_calls ?? 0;
  const failures = (progress?.lake_failures ?? 0) + (progress?.store_failures ?? 0);
  const [kept, retention] = [keptShortly(status.platform), status.platform?.lake_retention];
  return {
    name: 'Platform',
    health: failures > 0 || missing > 0 ? 'warn' : isBehind ? 'warn' : 'ok',
    state: isBehind ? 'catching up' : missing > 0 ? 'has gaps' : failures > 0 ? 'writes failed' : 'analysing',
    figure: (
      <span className="row">
        {perSecond('analysed')} <span className="station-unit">calls/s</span>{' '}
        <Spark values={seriesOf('analysed')} width={64} />
      </span>
    ),
    unit: '',
    facts: [
      ['behind', lag === undefined ? '–' : lag < 2500 ? 'no' : length(lag), isBehind ? 'warn' : undefined],
      ['calls missing', count(missing), missing > 0 ? 'warn' : undefined],
      [
        'lake',
        <span key="l" title="Calls that were written since the start, and the size of all">
          {count(progress?.lake_rows)} written · {bytes(progress?.lake_bytes)}
        </span>,
      ],
      ...kept.map(([name, words]): Fact => [
        name,
        <span key="k" title={retention ? `The lake keeps ${keptWords(retention)}` : undefined}>
          {words}
        </span>,
      ]),
    ],
  };
}

function responder({ responders, silent }: Parts): Station {
  const away = silent.filter((one) => one.kind === 'responder');
  const failing = responders.find((one) => one.failure ?? one.guard_problem);
  const held = sum(responders, 'own_plugins');
  const looked = Math.max(0, ...responders.map((one) => one.listed_ms));
  return {
    name: 'Responder',
    health: away.length > 0 || failing ? 'bad' : responders.length === 0 ? 'faint' : 'ok',
    state:
      away.length > 0
        ? 'silent'
        : failing
          ? (failing.failure ?? failing.guard_problem ?? 'failing')
          : responders.length === 0
            ? 'none'
            : 'in step',
    figure: held,
    unit: held === 1 ? 'plugin held' : 'plugins held',
    facts: [
      ...away.map(silence),
      ['looked', <Time key="t" ms={looked} relative />],
      ['written', count(sum(responders, 'written'))],
      ['taken away', count(sum(responders, 'deleted'))],
    ],
  };
}

/** Who is not heard from, and since when. */
function silence({ name, since_ms }: SilentService): Fact {
  return [
    `${name} silent`,
    <span key="s">
      since <Time ms={since_ms} />
    </span>,
    'bad',
  ];
}

/** A rate whose unit stands beside it. */
function perSecond(counter: string): string {
  return rate(rateOf(counter)).replace('/s', '');
}

function sum<Name extends string>(parts: Record<Name, number>[], name: Name): number {
  return parts.reduce((all, part) => all + part[name], 0);
}
