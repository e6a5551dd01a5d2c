// Lists that come in pages.
import { type QueryKey, useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useMemo } from 'react';

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
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = pages;
  const onEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return { ...pages, rows, onEnd };
}

/** How many rows of a list are new since it was read, and a way to see them. */
export function useFresh(list: string): [number, () => void] {
  const client = useQueryClient();
  const fresh = useQuery<number>({ queryKey: ['fresh', list], queryFn: () => 0, initialData: 0, staleTime: Infinity });
  const show = useCallback(() => {
    client.setQueryData(['fresh', list], 0);
    void client.resetQueries({ queryKey: [list] });
  }, [client, list]);
  return [fresh.data, show];
}
