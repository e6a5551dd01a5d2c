// What a policy would have done in the last seven days about the findings of that time, by the same rules.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { Finding, Policy } from '../../api/types';
import { Loading, Panel, SeverityTag, Time, Trouble } from '../../parts/basics';
import { counted, detectorName } from '../../parts/words';
import { type Rehearsal, rehearse } from './rehearsal';
import { untilWords } from './sentence';

const WEEK_MS = 7 * 86_400_000;
/** Pages of 500 findings that are read at most. */
const PAGES_MAX = 10;

async function findingsOfWeek(signal: AbortSignal): Promise<{ findings: Finding[]; isCut: boolean }> {
  const since_ms = Date.now() - WEEK_MS;
  const findings: Finding[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const { items, next } = await got(
      api.GET('/api/v1/findings', { params: { query: { since_ms, limit: 500, cursor } }, signal }),
    );
    findings.push(...items);
    if (next === null) return { findings, isCut: false };
    cursor = next;
  }
  return { findings, isCut: true };
}

/** How many actions are listed. */
const SHOWN_MAX = 5;

export function WouldHave({ policy }: { policy: Policy }) {
  const week = useQuery({
    queryKey: ['findings', 'week'],
    queryFn: ({ signal }) => findingsOfWeek(signal),
    staleTime: 60_000,
  });
  const would = useMemo(() => rehearse(policy, week.data?.findings ?? []), [week.data, policy]);
  const about = new Set(would.found.map(({ entity }) => entity.value));
  return (
    <Panel title="In the last 7 days">
      {week.error && <Trouble error={week.error} />}
      {week.isPending && <Loading lines={2} />}
      {week.data && (
        <div className="stack">
          <p>
            <strong>
              {would.found.length} of {week.data.findings.length}
              {week.data.isCut ? ' newest' : ''} findings
            </strong>{' '}
            fit{would.found.length > 0 && `, of at least ${counted(would.alertsMin, 'alert')}`}, about {about.size}{' '}
            {about.size === 1 ? 'entity' : 'entities'}.
          </p>
          {would.found.length > 0 && <Actions would={would} policy={policy} />}
          <p className="faint">
            Reckoned from these findings and this policy alone. Guard rails, never-block rules, the kill switch and
            actions that are there already may keep it from acting, or make it ask first.
          </p>
        </div>
      )}
    </Panel>
  );
}

function Actions({ would, policy }: { would: Rehearsal; policy: Policy }) {
  const { actions, beyond } = would;
  const whom = new Set(actions.map(({ finding }) => finding.entity.value)).size;
  const done = policy.respond.kind === 'block' ? 'blocked' : 'limited';
  return (
    <>
      <p>
        Enforced by itself, it would have <strong>{actions.length === 0 ? `${done} nobody` : done}</strong>
        {actions.length > 0 && (
          <strong>
            {' '}
            {counted(whom, 'consumer')}, {actions.length === 1 ? 'once' : `${actions.length} times`},{' '}
            {untilWords(policy.duration)}
          </strong>
        )}
        .
        {beyond > 0 &&
          ` ${counted(beyond, 'finding')} would have led to nothing: a policy restricts only consumers that are known${policy.scope === 'consumer' ? '' : `, and this one only the ${policy.scope} where it happened`}.`}
      </p>
      <ul className="plain" aria-label="What it would have done">
        {actions.slice(0, SHOWN_MAX).map(({ finding, atMs, asks }) => (
          <li key={finding.id} className="row" style={{ padding: '4px 0' }}>
            <SeverityTag severity={finding.severity} />
            <Link
              className="cut spread"
              to={`/alerts?state=all&entity=${encodeURIComponent(finding.entity.value)}`}
              title={finding.sentence}
            >
              {finding.entity.label || finding.entity.value} · {detectorName(finding.detector)}
            </Link>
            {asks && (
              <span
                className="tag"
                title="Its evidence does not prove where it is from, so a person would have decided"
              >
                would ask
              </span>
            )}
            <span className="faint">
              <Time ms={atMs} />
            </span>
          </li>
        ))}
      </ul>
      {actions.length > SHOWN_MAX && <p className="faint">{`and ${actions.length - SHOWN_MAX} before`}</p>}
    </>
  );
}
