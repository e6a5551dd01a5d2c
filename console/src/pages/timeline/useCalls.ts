// The calls of a timeline or a search, the newest first, and those that came since.
import { type InfiniteData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';

import { api, got } from '../../api/client';
import type { CallRow, EntityKind } from '../../api/types';
import { isWatched, useLookAgain } from '../../live/now';
import { callKey } from '../../parts/openCall';
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
const LATE_LOOK_MS = 15_000;
/** How far behind the newest row calls are looked for that came later than it: gateways and their connections do not wait for each other. */
const BEHIND_MS = 10_000;
/** Calls of a time that is over may still come for so long; from then on nothing waits for them. */
export const LATE_MS = 15 * 60_000;
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

/** Which calls may still come: none, late ones of a time that is over, or new ones. */
export type Coming = 'none' | 'late' | 'new';

/** Whether a call stands above another one: as the API sorts them, the newest first. */
function isAbove(one: CallRow, other: CallRow): boolean {
  return (one.time_us - other.time_us || one.position - other.position || one.call_index - other.call_index) > 0;
}

/** Two lists in one order. */
function merged(one: CallRow[], other: CallRow[]): CallRow[] {
  if (one.length === 0) return other;
  if (other.length === 0 || isAbove(one.at(-1)!, other[0]!)) return [...one, ...other];
  const rows: CallRow[] = [];
  let at = 0;
  for (const row of other) {
    while (at < one.length && isAbove(one[at]!, row)) rows.push(one[at++]!);
    rows.push(row);
  }
  return [...rows, ...one.slice(at)];
}

export function useCalls(of: CallsOf, coming: Coming, isFollowing = false) {
  const client = useQueryClient();
  const key = useMemo(() => ['calls', of], [of]);
  const pages = usePages<CallRow>(key, (cursor, signal) => read(of, PAGE, cursor, signal));
  // A first page that was read again holds what came since the one before; a following page leaves the first as it is.
  const first = pages.data?.pages[0];
  const [shown, setShown] = useState<Shown>({ key, first, rows: [] });
  const newer = useMemo(() => (shown.key === key && shown.first === first ? shown.rows : []), [shown, key, first]);
  const rows = useMemo(() => merged(newer, pages.rows), [newer, pages.rows]);
  const newest = rows[0];
  // What came since is asked for, from somewhat before the newest row on: some come later than others that were over after them. The
  // moment is no part of the key: each answer moves it, and would lead to the next request at once.
  const newestUs = newest?.time_us;
  const came = useQuery({
    queryKey: ['calls since', of],
    queryFn: async ({ signal }) => {
      const behind = coming === 'new' ? BEHIND_MS : LATE_MS;
      const since = newestUs === undefined ? of.since : Math.max(Math.floor(newestUs / 1000) - behind, of.since ?? 0);
      return { newestUs, ...(await read({ ...of, since }, CAME_MAX, undefined, signal)) };
    },
    enabled: coming !== 'none' && pages.isSuccess,
    refetchInterval: ({ state: { data } }) => {
      if (!isWatched()) return false;
      if (coming === 'late') return LATE_LOOK_MS;
      if (!isFollowing) return LOOK_MS;
      const isNew = ({ time_us }: CallRow) => time_us > (data?.newestUs ?? 0);
      return (data?.items.filter(isNew).length ?? 0) > MANY ? FOLLOW_MS / 2 : FOLLOW_MS;
    },
    staleTime: 0,
    // Rows move down with each answer: comparing them place by place finds nothing that could be kept.
    structuralSharing: false,
  });
  useLookAgain();
  // An answer has the newest ones, and so has this, also where as many came since that answer.
  const known = useMemo(() => new Set(rows.slice(0, 2 * CAME_MAX).map(callKey)), [rows]);
  // An answer that begins after the newest row would leave a hole below it.
  const reaches =
    came.data?.newestUs === undefined || (newestUs !== undefined && came.data.newestUs - BEHIND_MS * 1000 <= newestUs);
  const answer = came.data === shown.took || !reaches ? undefined : came.data;
  // What stands below the last row comes with the following page.
  const last = pages.hasNextPage ? rows.at(-1) : undefined;
  const fresh = useMemo(() => {
    const isFresh = (call: CallRow) => !known.has(callKey(call)) && (last === undefined || isAbove(call, last));
    return (answer?.items ?? []).filter(isFresh);
  }, [answer, known, last]);
  const lowestUs = answer?.items.at(-1)?.time_us;
  // There are more new ones than it holds: it does not come down to the newest row.
  const isFull = answer?.next != null && lowestUs !== undefined && (newestUs === undefined || lowestUs > newestUs);
  const isCut = fresh.length > 0 && (isFull || newer.length + fresh.length > NEWER_MAX);
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
      setShown({ key, first, rows: merged(fresh, newer), took: answer });
    }
  }, [client, answer, first, fresh, isCut, key, newer]);
  const newestKnownUs = Math.max(newestUs ?? 0, came.data?.items[0]?.time_us ?? 0);
  return {
    ...pages,
    rows,
    fresh: fresh.length,
    /** More came than an answer holds. */
    hasMoreFresh: isFull,
    showFresh,
    /** When the newest call was over that is known of, also one that is not shown yet. One that comes late may be older. */
    newestUs: newestKnownUs || undefined,
  };
}
