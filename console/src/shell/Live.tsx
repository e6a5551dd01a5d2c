// The corner that says whether what one sees is of now.
import { focusManager, skipToken, useQuery } from '@tanstack/react-query';
import { useEffect } from 'react';

import type { Connection, Summary } from '../live/follow';
import { useIsWatched } from '../live/now';
import { length } from '../parts/words';

export function Live({ connection }: { connection: Connection }) {
  const summary = useQuery<Summary>({ queryKey: ['summary'], queryFn: skipToken });
  const isWatched = useIsWatched();
  // Whoever comes back wants what is so now, as after coming back to the window.
  useEffect(() => {
    if (isWatched) focusManager.onFocus();
  }, [isWatched]);
  const [looks, words, hint] = stateOf(connection, isWatched, summary.data);
  return (
    <div className={`live ${looks}`} title={hint ?? `Live updates: ${words}`} role="status">
      <span className="live-dot" />
      <span className="nav-name">{words}</span>
    </div>
  );
}

function stateOf(connection: Connection, isWatched: boolean, summary: Summary | undefined): [string, string, string?] {
  if (connection !== 'live') return ['bad', connection === 'connecting' ? 'Connecting' : 'Not connected'];
  if (!isWatched) {
    return [
      'faint',
      'Paused: move the pointer',
      'Nobody was here for ten minutes. Alerts and actions still come; the numbers are those of then. Move the pointer or press a key to go on.',
    ];
  }
  const lag = summary?.analysed_at_ms ? Math.max(0, summary.at_ms - summary.analysed_at_ms) : undefined;
  const isBehind = summary !== undefined && (!summary.caught_up || (lag ?? 0) > 10_000);
  return isBehind ? ['warn', `Behind${lag ? ` by ${length(lag)}` : ''}`] : ['ok', 'Live'];
}
