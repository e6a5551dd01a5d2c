// The calls of a timeline or a search, the newest first, and those that came since.
import { type InfiniteData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';

import { api, got } from '../../api/client';
import type { CallRow, EntityKind } from '../../api/types';
import { isWatched, useLookAgain } from '../../live/now';
import { callKey } from '../../parts/callColumns';
import { usePages } from '../../parts/pages';
import { entityTerm, term } from '../../parts/search';

interface Shown {
  key: unknown;
  /** The page on top of which the rows stand. */
  first: unknown;
  rows: CallRow[];
  took?: unknown;
}

interface CallsOf {
  /** Whose calls; everybody's without. */
  entity?: { kind: EntityKind; value: string; gateway?: string };
  /** What else has to hold. */
  search: string;
  since?: number;
  until?: number;
}

const PAGE = 200;
/** How many of those that came since are asked for: as many as the API gives at once. */
const CAME_MAX = 500;
/** More than these are not kept on top of what was read first; the list begins anew. */
const NEWER_MAX = 5000;
const LOOK_MS = 3000;
const FOLLOW_MS = 1000;
/** While more than this many come at a time, they are asked for twice as often, so that all of them fit into an answer. */
const MANY = 150;

async function read(
  { entity, search, since, until }: CallsOf,
  limit: number,
  cursor: string | undefined,
  signal: AbortSignal,
) {
  const range = { since_ms: since, until_ms: until, limit, cursor };
  if (entity && search === '') {
    const { kind, value, gateway } = entity;
    return got(api.GET('/api/v1/timeline', { params: { query: { kind, entity: value, gateway, ...range } }, signal }));
  }
  const whose = entity
    ? [entityTerm(entity.kind, entity.value), entity.gateway ? term('gateway', entity.gateway) : '']
    : [];
  const q = [...whose, search].filter(Boolean).join(' ');
  return got(api.GET('/api/v1/search', { params: { query: { q, ...range } }, signal }));
}

/** `isOpen` says that the range has no end, so that there may be newer calls. */
export function useCalls(of: CallsOf, isOpen: boolean, isFollowing = false) {
  const client = useQueryClient();
  const key = useMemo(() => ['calls', of], [of]);
  const pages = usePages<CallRow>(key, (cursor, signal) => read(of, PAGE, cursor, signal));
  // A first page that was read again holds what came since the one before; a following page leaves the first as it is.
  const first = pages.data?.pages[0];
  const [shown, setShown] = useState<Shown>({ key, first, rows: [] });
  const newer = useMemo(() => (shown.key === key && shown.first === first ? shown.rows : []), [shown, key, first]);
  const rows = useMemo(() => [...newer, ...pages.rows], [newer, pages.rows]);
  const newest = rows[0];
  // Only what came since is asked for, from the moment of the newest row on; rows of that moment are known already. The moment is
  // no part of the key: each answer moves it, and would lead to the next request at once.
  const since = newest ? Math.floor(newest.time_us / 1000) : undefined;
  const came = useQuery({
    queryKey: ['calls since', of],
    queryFn: async ({ signal }) => ({
      since,
      ...(await read({ ...of, since: since ?? of.since, until: undefined }, CAME_MAX, undefined, signal)),
    }),
    enabled: isOpen && pages.isSuccess,
    refetchInterval: ({ state }) => {
      if (!isWatched()) return false;
      if (!isFollowing) return LOOK_MS;
      return (state.data?.items.length ?? 0) > MANY ? FOLLOW_MS / 2 : FOLLOW_MS;
    },
    staleTime: 0,
    // Rows move down with each answer: comparing them place by place finds nothing that could be kept.
    structuralSharing: false,
  });
  useLookAgain();
  const known = useMemo(() => new Set(rows.slice(0, CAME_MAX).map(callKey)), [rows]);
  // An answer that begins after the newest row would leave a hole below it.
  const reaches = came.data?.since === undefined || (since !== undefined && came.data.since <= since);
  const answer = came.data === shown.took || !reaches ? undefined : came.data;
  const fresh = useMemo(() => {
    const isFresh = (call: CallRow) => call.time_us >= (since ?? 0) * 1000 && !known.has(callKey(call));
    return (answer?.items ?? []).filter(isFresh);
  }, [answer, known, since]);
  const isCut = fresh.length > 0 && (answer?.next != null || newer.length + fresh.length > NEWER_MAX);
  const showFresh = useCallback(() => {
    // Where more came than an answer holds, the list begins anew instead of having a hole.
    if (isCut) {
      setShown({ key, first, rows: [], took: answer });
      client.setQueryData<InfiniteData<unknown>>(
        key,
        (before) => before && { pages: before.pages.slice(0, 1), pageParams: before.pageParams.slice(0, 1) },
      );
      void client.invalidateQueries({ queryKey: key });
    } else {
      setShown({ key, first, rows: [...fresh, ...newer], took: answer });
    }
  }, [client, answer, first, fresh, isCut, key, newer]);
  const newestUs = Math.max(newest?.time_us ?? 0, came.data?.items[0]?.time_us ?? 0);
  return {
    ...pages,
    rows,
    fresh: fresh.length,
    /** More came than an answer holds. */
    hasMoreFresh: answer?.next != null,
    showFresh,
    /** When the newest call was over that is known of, also one that is not shown yet. One that comes late may be older. */
    newestUs: newestUs || undefined,
  };
}
