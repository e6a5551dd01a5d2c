// Lists that come in pages.
import { type QueryKey, skipToken, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useEffectEvent, useMemo } from 'react';

import { newTo, NOTHING, type Order, type Told, toldKey } from '../live/fresh';
import { isWatched } from '../live/now';

interface PageOf<T> {
  items: T[];
  next?: string | null;
}

/** All pages that were asked for so far, and how to get the following one. */
export function usePages<T>(
  key: QueryKey,
  get: (cursor: string | undefined, signal: AbortSignal) => Promise<PageOf<T>>,
  enabled = true,
) {
  const pages = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => get(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    enabled,
  });
  const rows = useMemo(() => pages.data?.pages.flatMap((page) => page.items) ?? [], [pages.data]);
  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = pages;
  /** Says whether the following page came. */
  const readOn = useCallback(async () => {
    if (!hasNextPage) return false;
    const { isError } = await fetchNextPage({ cancelRefetch: !isFetchingNextPage });
    return !isError;
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  // A page that did not come is not asked for again by rows that are in view: somebody tries again.
  const onEnd = useCallback(() => {
    if (!isFetchingNextPage && !isFetchNextPageError) void readOn();
  }, [isFetchingNextPage, isFetchNextPageError, readOn]);
  return { ...pages, rows, onEnd, readOn };
}

/** Somebody is about to click into a table, or is in it with the keys. */
const isInUse = () =>
  document.querySelector('.table:hover') !== null || Boolean(document.activeElement?.closest('.table'));

/** A list of which no stream tells is read again while somebody looks, unless that would move rows under the pointer. */
export function useReadAgain(refetch: () => Promise<unknown>, everyMs = 20_000): void {
  const again = useEffectEvent(() => {
    if (isWatched() && !isInUse()) void refetch();
  });
  useEffect(() => {
    const timer = setInterval(again, everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
}

/** How many rows are new to a list as it is filtered, whether there may be more of them, and a way to see them. */
export function useFresh<T extends { id: string }>(
  list: string,
  { rows, hasNextPage }: { rows: T[]; hasNextPage: boolean },
  order: Order<T>,
  fits: (row: T) => boolean,
) {
  const client = useQueryClient();
  const { data: told = NOTHING } = useQuery<Told<T>>({ queryKey: toldKey(list), queryFn: skipToken });
  const onFresh = useCallback(() => {
    client.setQueryData(toldKey(list), NOTHING);
    void client.resetQueries({ queryKey: [list] });
  }, [client, list]);
  const fresh = newTo(rows, hasNextPage, told, order, fits).length;
  return { fresh, hasMoreFresh: told.hasLost, onFresh };
}
