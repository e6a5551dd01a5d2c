// What is so now, for the overview and for the numbers beside the navigation. Events keep it current.
import { queryOptions, useQuery } from '@tanstack/react-query';
import { useEffect, useState, useSyncExternalStore } from 'react';

import { api, got } from '../api/client';
import { droppedBy, partsOf } from '../api/parts';
import { getStatus, type Status } from '../api/status';
import { ACTIVE_STATES } from '../api/types';
import { note } from './rates';

const LIMIT = 50;

export const nowAlerts = queryOptions({
  queryKey: ['now', 'alerts'],
  queryFn: ({ signal }) =>
    got(
      api.GET('/api/v1/alerts', { params: { query: { state: ['open'], sort: 'last_finding', limit: LIMIT } }, signal }),
    ),
});

export const nowActions = queryOptions({
  queryKey: ['now', 'actions'],
  queryFn: ({ signal }) =>
    got(
      api.GET('/api/v1/actions', {
        params: { query: { state: [...ACTIVE_STATES, 'proposed'], limit: LIMIT } },
        signal,
      }),
    ),
});

export const nowNotices = queryOptions({
  queryKey: ['now', 'notices'],
  queryFn: ({ signal }) =>
    got(api.GET('/api/v1/notices', { params: { query: { state: 'open', limit: LIMIT } }, signal })),
});

export function useKillSwitch() {
  return useQuery({
    queryKey: ['kill-switch'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/kill-switch', { signal })),
  });
}

/** How long after the last key or movement somebody still counts as being there. */
const ATTENTION_MS = 10 * 60_000;
const SIGNS = ['pointermove', 'keydown', 'pointerdown'] as const;
let lastSeen = Date.now();
for (const sign of SIGNS) addEventListener(sign, () => (lastSeen = Date.now()), { passive: true });

/** Whether somebody looks. Asking again and again without anybody would keep a session open for ever. */
export function isWatched(): boolean {
  return document.visibilityState === 'visible' && Date.now() - lastSeen < ATTENTION_MS;
}

/** How often it is asked while somebody looks; a rate needs two readings, so the second comes sooner. */
const STATUS_MS = 5000;
const SECOND_MS = 1500;

/** How everything is, asked again while somebody looks. Its counters become rates. */
export function useStatus() {
  const status = useQuery({
    queryKey: ['status'],
    queryFn: async ({ signal }) => {
      const read = await getStatus(signal);
      note({ at_ms: Date.now(), counts: countsOf(read) });
      return read;
    },
    refetchInterval: (query) => (!isWatched() ? false : query.state.dataUpdateCount < 2 ? SECOND_MS : STATUS_MS),
  });
  useLookAgain();
  return status;
}

/** Whether somebody looks, drawn again when that changes. */
export function useIsWatched(): boolean {
  return useSyncExternalStore(onAttention, isWatched);
}

function onAttention(listener: () => void): () => void {
  const timer = setInterval(listener, STATUS_MS);
  for (const sign of SIGNS) addEventListener(sign, listener, { passive: true });
  document.addEventListener('visibilitychange', listener);
  return () => {
    clearInterval(timer);
    for (const sign of SIGNS) removeEventListener(sign, listener);
    document.removeEventListener('visibilitychange', listener);
  };
}

/** How often to ask again, which is never while nobody looks; whoever comes back starts it again. */
export function useWhileWatched(everyMs: number): number | false {
  return useIsWatched() && everyMs;
}

/** For whoever asks again only while somebody looks: the interval stops then, and whoever comes back starts it again. */
export function useLookAgain() {
  const [, look] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => look((times) => times + 1), STATUS_MS);
    return () => clearInterval(timer);
  }, []);
}

function countsOf(status: Status): Record<string, number> {
  const { sources, spools } = partsOf(status);
  const progress = status.platform?.progress;
  return {
    received: sources.reduce((sum, source) => sum + source.received, 0),
    dropped: droppedBy(sources, spools),
    analysed: progress?.calls ?? 0,
  };
}
