// The way of a call, drawn: gateway, collector, platform, responder, and back to the gateway. Each says how it does.
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'react-router';

import { isUntouched, type Status, total } from '../../api/status';
import { Spark } from '../../charts/Spark';
import type { Summary } from '../../live/follow';
import { rateOf, seriesOf } from '../../live/rates';
import { Loading, Panel, Time } from '../../parts/basics';
import { FirstSteps } from '../../parts/FirstSteps';
import { keptShortly, keptWords } from '../../parts/keeping';
import { bytes, count, length, rate } from '../../parts/words';

type Health = 'ok' | 'warn' | 'bad' | 'faint';

interface Station {
  name: string;
  health: Health;
  state: string;
  figure: ReactNode;
  unit: string;
  facts: [string, ReactNode, Health?][];
}

/** A gateway that says nothing for this long is worth a look. */
const SILENT_MS = 60_000;

export function Flow({ status }: { status: Status | undefined }) {
  const summary = useQuery<Summary>({ queryKey: ['summary'], enabled: false });
  if (!status) {
    return (
      <Panel title="Flow">
        <Loading />
      </Panel>
    );
  }
  const responders = status.responders ?? [];
  const stations = [gateway(status), collector(status), platform(status, summary.data), responder(status)];
  const ways = [
    rate(rateOf('received')),
    rate(rateOf('analysed')),
    `${responders.reduce((sum, one) => sum + (one.own_plugins ?? 0), 0)} held`,
  ];
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

function gateway(status: Status): Station {
  const names = (status.configurations ?? []).map((one) => one.gateway);
  const last = Math.max(0, ...(status.sources ?? []).map((source) => source.counters?.health?.last_received_ms ?? 0));
  const failing = (status.configurations ?? []).find((one) => one.failure);
  const isSilent = last > 0 && Date.now() - last > SILENT_MS;
  const open = (status.sources ?? []).reduce((sum, source) => sum + (source.counters?.connections_open ?? 0), 0);
  const health: Health = failing ? 'bad' : isSilent || last === 0 ? 'warn' : 'ok';
  return {
    name: 'Gateways',
    health,
    state: failing ? 'Admin API fails' : last === 0 ? 'nothing heard yet' : isSilent ? 'silent' : 'sending',
    figure: names.length,
    unit: names.length === 1 ? (names[0] ?? '') : names.slice(0, 3).join(', '),
    facts: [
      ['last line', <Time key="t" ms={last} relative />, isSilent ? 'warn' : undefined],
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

function collector(status: Status): Station {
  const sources = status.sources ?? [];
  const dropped = sources.reduce((sum, source) => sum + total(source.counters?.dropped), 0);
  const rejected = sources.reduce((sum, source) => sum + total(source.counters?.rejected), 0);
  const untrusted = sources.reduce((sum, source) => sum + (source.counters?.untrusted ?? 0), 0);
  const isDropping = (rateOf('dropped') ?? 0) > 0;
  return {
    name: 'Collector',
    health: isDropping ? 'bad' : dropped > 0 || rejected > 0 ? 'warn' : sources.length === 0 ? 'faint' : 'ok',
    state: isDropping
      ? 'dropping calls'
      : dropped > 0
        ? 'has dropped calls'
        : rejected > 0
          ? 'rejected lines'
          : sources.length === 0
            ? 'elsewhere'
            : 'reading',
    figure: rate(rateOf('received')),
    unit: '',
    facts: [
      ['lines', count(sources.reduce((sum, source) => sum + (source.counters?.received ?? 0), 0))],
      ['dropped', count(dropped), dropped > 0 ? 'bad' : undefined],
      ['rejected', count(rejected), rejected > 0 ? 'warn' : undefined],
      ...(untrusted > 0 ? ([['untrusted', count(untrusted), 'warn']] as Station['facts']) : []),
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
        {rate(rateOf('analysed'))} <Spark values={seriesOf('analysed')} width={64} />
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
      ...(kept
        ? ([
            [
              'calls',
              <span key="k" title={retention ? `The lake keeps ${keptWords(retention)}` : undefined}>
                {kept}
              </span>,
            ],
          ] as Station['facts'])
        : []),
    ],
  };
}

function responder(status: Status): Station {
  const responders = status.responders ?? [];
  const failing = responders.find((one) => one.failure ?? one.guard_problem);
  const held = responders.reduce((sum, one) => sum + (one.own_plugins ?? 0), 0);
  const looked = Math.max(0, ...responders.map((one) => one.listed_ms ?? 0));
  return {
    name: 'Responder',
    health: failing ? 'bad' : responders.length === 0 ? 'faint' : 'ok',
    state: failing
      ? (failing.failure ?? failing.guard_problem ?? 'failing')
      : responders.length === 0
        ? 'none'
        : 'in step',
    figure: held,
    unit: held === 1 ? 'plugin held' : 'plugins held',
    facts: [
      ['looked', <Time key="t" ms={looked} relative />],
      ['written', count(responders.reduce((sum, one) => sum + (one.written ?? 0), 0))],
      ['taken away', count(responders.reduce((sum, one) => sum + (one.deleted ?? 0), 0))],
    ],
  };
}
