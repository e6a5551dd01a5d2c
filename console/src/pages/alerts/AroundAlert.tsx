// The calls around an alert: as long before its beginning as it lasted, and until it was over.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';

import { api, got, Refusal } from '../../api/client';
import type { Alert } from '../../api/types';
import { Strip, StripKeys } from '../../charts/Strip';
import { serverNow } from '../../live/clock';
import { useWhileWatched } from '../../live/now';
import { Panel, timelinePath, Trouble } from '../../parts/basics';
import { useStretches } from '../timeline/marks';

const MARGIN_MS = 5 * 60_000;
const AGAIN_MS = 10_000;

export function AroundAlert({ alert }: { alert: Alert }) {
  const { entity } = alert;
  const margin = Math.max(MARGIN_MS, alert.last_finding_ms - alert.started_ms);
  const range = { since: alert.started_ms - margin, until: alert.last_finding_ms + margin };
  // What goes on has calls that come while one looks.
  const again = useWhileWatched(AGAIN_MS);
  const density = useQuery({
    queryKey: ['density', entity.kind, entity.value, entity.gateway, range],
    queryFn: ({ signal }) =>
      got(
        api.GET('/api/v1/timeline/density', {
          params: {
            query: {
              kind: entity.kind,
              entity: entity.value,
              gateway: entity.gateway,
              since_ms: range.since,
              until_ms: range.until,
              steps: 120,
            },
          },
          signal,
        }),
      ),
    staleTime: 10_000,
    refetchInterval: () => (range.until > serverNow() ? again : false),
    // A range that grows keeps what is drawn until the rest comes.
    placeholderData: (before) => before,
  });
  const stretches = useStretches(entity, range);
  if (density.error instanceof Refusal && density.error.status === 404) return null;
  const mark = {
    id: alert.id,
    at: alert.opened_ms,
    words: 'This alert',
    looks: alert.severity,
    to: `/alerts/${alert.id}`,
  };
  return (
    <Panel
      title="Its calls around that time"
      after={
        <div className="row" style={{ gap: 16 }}>
          <StripKeys />
          <Link to={timelinePath(entity, { since: String(range.since), until: String(range.until) })}>Timeline</Link>
        </div>
      }
    >
      {density.error && <Trouble error={density.error} />}
      <div style={{ minHeight: 130 }}>
        {density.data && (
          <Strip
            label={entity.label || entity.value}
            range={range}
            stepMs={density.data.step_ms}
            steps={density.data.steps}
            marks={[mark]}
            stretches={stretches}
            height={130}
          />
        )}
      </div>
    </Panel>
  );
}
