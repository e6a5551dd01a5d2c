// The calls of the last hour at all gateways.
import { useQuery } from '@tanstack/react-query';

import { Refusal } from '../../api/client';
import { ask, day, moment, timeOf } from '../../api/sql';
import { Strip, StripKeys } from '../../charts/Strip';
import { serverNow } from '../../live/clock';
import { isWatched } from '../../live/now';
import { Loading, Panel, Trouble } from '../../parts/basics';
import { useGaps } from '../timeline/marks';

const HOUR_MS = 3_600_000;
const STEP_MS = 60_000;

interface Row {
  at: string;
  calls: number;
  client_errors: number;
  server_errors: number;
  refused: number;
}

async function traffic(signal: AbortSignal) {
  const until = (Math.floor(serverNow() / STEP_MS) + 1) * STEP_MS;
  const since = until - HOUR_MS;
  const rows = await ask<Row>(
    `SELECT date_bin(INTERVAL '1 minute', event_time) AS at, count(*) AS calls,
       count(*) FILTER (WHERE status BETWEEN 400 AND 499 AND own_refusal IS NULL) AS client_errors,
       count(*) FILTER (WHERE status >= 500 AND own_refusal IS NULL) AS server_errors,
       count(own_refusal) AS refused
     FROM events WHERE event_date >= ${day(since)} AND event_time >= ${moment(since)} GROUP BY 1`,
    signal,
  );
  const steps = rows.map(({ at, ...counts }) => ({ start_ms: timeOf(at), ...counts }));
  return { since, until, steps };
}

export function Traffic() {
  const found = useQuery({
    queryKey: ['traffic'],
    queryFn: ({ signal }) => traffic(signal),
    refetchInterval: () => (isWatched() ? STEP_MS : false),
  });
  const gaps = useGaps(undefined, found.data);
  // An outrider without a lake has no history to draw.
  if (found.error instanceof Refusal && found.error.status === 404) return null;
  return (
    <Panel title="Calls, last hour" after={<StripKeys />}>
      {found.error && <Trouble error={found.error} again={() => void found.refetch()} />}
      {found.isPending && (
        <div style={{ height: 120 }}>
          <Loading lines={3} />
        </div>
      )}
      {found.data && (
        <Strip
          label="All calls"
          range={found.data}
          stepMs={STEP_MS}
          steps={found.data.steps}
          stretches={gaps.filter(({ since, until }) => until >= found.data.since && since <= found.data.until)}
          height={120}
        />
      )}
    </Panel>
  );
}
