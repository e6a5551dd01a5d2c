// One alert: its story in a sentence, what was observed against what was expected, the evidence, and what was done.
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';

import { api, got } from '../../api/client';
import { type Alert, ENTITY_KINDS, type Finding } from '../../api/types';
import {
  AlertStateTag,
  EntityLink,
  type Fact,
  Facts,
  Loading,
  Page,
  Panel,
  SeverityTag,
  Time,
  timelinePath,
  Trouble,
  Waiting,
} from '../../parts/basics';
import { CheckItYourself } from '../../parts/CheckItYourself';
import { type Column, SmallTable } from '../../parts/DataTable';
import { chance, count, detectorName, ENTITY_WORDS, figure, length, share } from '../../parts/words';
import { checkWords, posturePath } from '../posture/weakness';
import { Assignee } from './Assignee';
import { AroundAlert } from './AroundAlert';
import { Compare } from './Compare';
import { Decisions } from './decisions';
import { Samples } from './Samples';
import { WhatWasDone } from './WhatWasDone';

export default function AlertPage() {
  const { id = '' } = useParams();
  const found = useQuery({
    queryKey: ['alert', id],
    queryFn: ({ signal }) => got(api.GET('/api/v1/alerts/{id}', { params: { path: { id } }, signal })),
  });
  const alert = found.data;
  if (!alert) {
    return <Waiting title="Alert" of={found} />;
  }
  return (
    <Page
      // What was typed about one alert is not said about another.
      key={alert.id}
      title={`${detectorName(alert.detector)} · ${alert.entity.label || alert.entity.value}`}
      under={{ to: '/alerts', name: 'Alerts' }}
      before={<SeverityTag severity={alert.severity} />}
      after={
        <>
          <AlertStateTag state={alert.state} />
          <div className="spread" />
          <Decisions alert={alert} />
        </>
      }
    >
      <div className="alert">
        <div className="stack">
          <p className="story">{alert.sentence}</p>
          <Panel title="Observed against expected">
            <Compare observation={alert.worst.observation} />
          </Panel>
          {ENTITY_KINDS.includes(alert.entity.kind) && <AroundAlert alert={alert} />}
          <Samples samples={alert.worst.samples} gateway={alert.entity.gateway} />
          <Check finding={alert.worst} />
          {/* Each new finding is a row above the others, and would push away what stands below. */}
          <Evidence alert={alert} />
        </div>
        <div className="stack">
          <About alert={alert} />
          <WhatWasDone alert={alert} />
        </div>
      </div>
    </Page>
  );
}

function About({ alert }: { alert: Alert }) {
  const { worst, entity } = alert;
  const facts: Fact[] = [
    ['Assigned to', <Assignee key="a" alert={alert} />],
    [ENTITY_WORDS[entity.kind], <EntityLink key="e" entity={entity} />],
    ['Id', <code key="i">{entity.value}</code>],
    ['Gateway', entity.gateway],
    ['Service', worst.service_name || 'several, or all'],
    ...(worst.endpoint_name
      ? ([
          [
            'Endpoint',
            worst.endpoint ? (
              <Link key="p" to={`/apis/${worst.endpoint}`}>
                {worst.endpoint_name}
              </Link>
            ) : (
              worst.endpoint_name
            ),
          ],
        ] as Fact[])
      : []),
    ...weaknessFact(alert),
    ['Began', <Time key="s" ms={alert.started_ms} />],
    ['Opened', <Time key="o" ms={alert.opened_ms} />],
    ['Last finding', <Time key="l" ms={alert.last_finding_ms} />],
    ['Answered', `${count(alert.outcome.succeeded)} succeeded, ${count(alert.outcome.failed)} failed`],
    ['Confidence', share(alert.confidence)],
    ...(worst.surprise !== null ? ([['Surprise', chance(worst.surprise)]] as Fact[]) : []),
    ['Learnt from', worst.basis],
    ...(worst.target.untrusted ? ([['Trust', 'its log lines did not prove where they come from']] as Fact[]) : []),
  ];
  return (
    <Panel title="Whom and what">
      <Facts facts={facts} />
    </Panel>
  );
}

/** What is weak has a page of its own, with what to do. */
function weaknessFact({ detector, entity }: Alert): Fact[] {
  const [kind, check] = detector.split(':');
  if (kind !== 'posture' || !check) return [];
  const filter = { check, gateway: entity.gateway, ...(entity.kind === 'service' && { service: entity.value }) };
  return [
    [
      'Weaknesses',
      <Link key="w" to={posturePath({ ...filter, state: 'all' })}>
        {checkWords(check)}, with what to do
      </Link>,
    ],
  ];
}

const FINDINGS: Column<Finding>[] = [
  { id: 'at', head: 'Raised', width: '120px', cell: (finding) => <Time ms={finding.raised_ms} /> },
  { id: 'severity', head: 'Severity', width: '84px', cell: (finding) => <SeverityTag severity={finding.severity} /> },
  {
    id: 'sentence',
    head: 'What',
    width: 'minmax(0, 1fr)',
    cell: (finding) => <span title={finding.sentence}>{finding.sentence}</span>,
  },
  {
    id: 'observed',
    head: 'Observed',
    width: '80px',
    isNumber: true,
    cell: ({ observation }) => figure(observation.observed),
  },
  {
    id: 'expected',
    head: 'Expected',
    width: '80px',
    isNumber: true,
    cell: ({ observation }) => figure(observation.expected),
  },
  { id: 'window', head: 'Window', width: '80px', isNumber: true, cell: (finding) => length(finding.window_ms) },
];

function Evidence({ alert }: { alert: Alert }) {
  const findings = useQuery({
    queryKey: ['findings', alert.id],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/findings', { params: { query: { alert: alert.id, limit: 50 } }, signal })),
  });
  const rows = findings.data?.items ?? [];
  return (
    <Panel
      title="Evidence"
      flush
      after={
        <span className="faint">{alert.finding_count === 1 ? '1 finding' : `${alert.finding_count} findings`}</span>
      }
    >
      {findings.error && <Trouble error={findings.error} />}
      {findings.isPending ? (
        <div style={{ padding: 16 }}>
          <Loading lines={2} />
        </div>
      ) : (
        <SmallTable label="Findings" rows={rows} columns={FINDINGS} rowKey={(finding) => finding.id} />
      )}
      {findings.data?.next && (
        <p className="faint" style={{ padding: '8px 16px' }}>
          The newest 50 are shown.
        </p>
      )}
    </Panel>
  );
}

function Check({ finding }: { finding: Finding }) {
  if (!finding.query) return null;
  return (
    <CheckItYourself
      query={finding.query}
      words="This statement gives the observed number again, from the calls in the lake."
    >
      {ENTITY_KINDS.includes(finding.entity.kind) && (
        <Link
          to={timelinePath(finding.entity, {
            since: String(finding.window_start_ms - 300_000),
            until: String(finding.window_start_ms + finding.window_ms + 300_000),
          })}
        >
          All calls of the window, on the timeline
        </Link>
      )}
    </CheckItYourself>
  );
}
