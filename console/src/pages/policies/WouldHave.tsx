// What a condition would have been about in the last seven days: the findings of that time, by the same rules.
import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { Condition, Finding } from '../../api/types';
import { Loading, Panel, SeverityTag, Time, Trouble } from '../../parts/basics';
import { detectorName } from '../../parts/words';
import { matches } from './matching';

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

export function WouldHave({ when }: { when: Condition }) {
  const week = useQuery({
    queryKey: ['findings', 'week'],
    queryFn: ({ signal }) => findingsOfWeek(signal),
    staleTime: 60_000,
  });
  const found = useMemo(
    () => (week.data?.findings ?? []).filter((finding) => matches(when, finding)),
    [week.data, when],
  );
  const about = new Set(found.map((finding) => finding.entity.value));
  return (
    <Panel title="In the last 7 days">
      {week.error && <Trouble error={week.error} />}
      {week.isPending && <Loading lines={2} />}
      {week.data && (
        <div className="stack">
          <p>
            <strong>
              {found.length} of {week.data.findings.length}
              {week.data.isCut ? ' newest' : ''} findings
            </strong>{' '}
            fit, about {about.size} {about.size === 1 ? 'entity' : 'entities'}.
          </p>
          {found.length > 0 && (
            <ul className="plain">
              {found.slice(0, 5).map((finding) => (
                <li key={finding.id} className="row" style={{ padding: '4px 0' }}>
                  <SeverityTag severity={finding.severity} />
                  <Link
                    className="cut spread"
                    to={`/alerts?entity=${encodeURIComponent(finding.entity.value)}`}
                    title={finding.sentence}
                  >
                    {detectorName(finding.detector)} · {finding.entity.label || finding.entity.value}
                  </Link>
                  <span className="faint">
                    <Time ms={finding.raised_ms} relative />
                  </span>
                </li>
              ))}
            </ul>
          )}
          <p className="faint">
            That is the condition alone. Guard rails, and blocks that are there already, may keep a policy from acting.
          </p>
        </div>
      )}
    </Panel>
  );
}
