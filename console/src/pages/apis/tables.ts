// What the tables of an endpoint's page are made of: asked one after the other, since the lake answers few questions at a time and
// others ask, too. While somebody looks that begins anew again and again.
import { useQuery } from '@tanstack/react-query';

import { useWhileWatched } from '../../live/now';
import { accessOf, callersOf, fieldsOf, type Span } from './questions';

export interface Of {
  id: string;
  span: Span;
}

export function useCallers({ id, span }: Of, everyMs: number | false = false) {
  return useQuery({
    queryKey: ['endpoint callers', id, span.id],
    queryFn: ({ signal }) => callersOf(id, span, signal),
    refetchInterval: everyMs,
  });
}

/** For whoever shows the callers, the first of them: the others follow when it was answered. */
export function useCallersAgain(of: Of) {
  return useCallers(of, useWhileWatched(of.span.tablesMs));
}

/** Of an answer that is asked for after another one: when it may be asked for, and that it is asked for then. */
function after(before: { isPending: boolean; isFetching: boolean }, span: Span) {
  return {
    enabled: !before.isPending && !before.isFetching,
    staleTime: span.tablesMs / 2,
    refetchOnWindowFocus: false,
  };
}

export function useAccess(of: Of) {
  const { id, span } = of;
  return useQuery({
    queryKey: ['endpoint access', id, span.id],
    queryFn: ({ signal }) => accessOf(id, span, signal),
    ...after(useCallers(of), span),
  });
}

export function useFields(of: Of) {
  const { id, span } = of;
  return useQuery({
    queryKey: ['endpoint fields', id, span.id],
    queryFn: ({ signal }) => fieldsOf(id, span, signal),
    ...after(useAccess(of), span),
  });
}
