// The calls of a timeline or a search, the newest first, and those that came since.
import { type InfiniteData, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';

import { api, got } from '../../api/client';
import type { CallRow, EntityKind } from '../../api/types';
import { isWatched } from '../../live/now';
import { callKey } from '../../parts/callColumns';
import { usePages } from '../../parts/pages';
import { entityTerm, term } from '../../parts/search';

interface CallsOf {
  /** Whose calls; everybody's without. */
  entity?: { kind: EntityKind; value: string; gateway?: string };
  /** What else has to hold. */
  search: string;
  since?: number;
  until?: number;
}

const PAGE = 200;
const LOOK_MS = 3000;
const FOLLOW_MS = 1000;

async function read({ entity, search, since, until }: CallsOf, cursor: string | undefined, signal: AbortSignal) {
  const range = { since_ms: since, until_ms: until, limit: PAGE, cursor };
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
  const pages = usePages<CallRow>(key, (cursor, signal) => read(of, cursor, signal));
  const [shown, setShown] = useState<{ key: unknown; rows: CallRow[] }>({ key, rows: [] });
  const newer = useMemo(() => (shown.key === key ? shown.rows : []), [shown, key]);
  const rows = useMemo(() => [...newer, ...pages.rows], [newer, pages.rows]);
  const newest = rows[0];
  // Only what came since is asked for, from the moment of the newest row on; rows of that moment are known already.
  const since = newest ? Math.floor(newest.time_us / 1000) : undefined;
  const came = useQuery({
    queryKey: ['calls since', of, since ?? 0],
    queryFn: ({ signal }) => read({ ...of, since: since ?? of.since, until: undefined }, undefined, signal),
    enabled: isOpen && pages.isSuccess,
    refetchInterval: () => (isWatched() ? (isFollowing ? FOLLOW_MS : LOOK_MS) : false),
    staleTime: 0,
  });
  const known = useMemo(() => new Set(rows.slice(0, PAGE).map(callKey)), [rows]);
  const fresh = (came.data?.items ?? []).filter((call) => !known.has(callKey(call)));
  const isCut = fresh.length > 0 && came.data?.next != null;
  const showFresh = useCallback(() => {
    // Where more came than a page holds, the list begins anew instead of having a hole.
    if (isCut) {
      setShown({ key, rows: [] });
      client.setQueryData<InfiniteData<unknown>>(
        key,
        (before) => before && { pages: before.pages.slice(0, 1), pageParams: before.pageParams.slice(0, 1) },
      );
      void client.invalidateQueries({ queryKey: key });
    } else {
      setShown({ key, rows: [...fresh, ...newer] });
    }
  }, [client, fresh, isCut, key, newer]);
  return { ...pages, rows, fresh: fresh.length, isCut, showFresh };
}
