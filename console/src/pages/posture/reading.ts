// What is asked about posture. No stream tells of it: a service is judged when a minute is over.
import { type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';

import { api, got } from '../../api/client';
import { useWhileWatched } from '../../live/now';
import type { WeaknessFilter } from './filter';

const AGAIN_MS = 20_000;
/** Checks change with the version alone, and configurations rarely. */
const STALE_MS = 600_000;

export const WEAKNESSES = 'weaknesses';
export const WEAKNESS = 'weakness';
export const COUNTS = 'weakness counts';

export function useChecks() {
  return useQuery({
    queryKey: ['posture checks'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/posture/checks', { signal })),
    staleTime: STALE_MS,
  });
}

export function useCounts(filter: Omit<WeaknessFilter, 'sort' | 'state'>) {
  return useQuery({
    queryKey: [COUNTS, filter],
    queryFn: ({ signal }) => got(api.GET('/api/v1/posture/counts', { params: { query: filter }, signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
    // Bars stay while another filter is read.
    placeholderData: (before) => before,
  });
}

export function useWeakness(id: string) {
  return useQuery({
    queryKey: [WEAKNESS, id],
    queryFn: ({ signal }) => got(api.GET('/api/v1/posture/{id}', { params: { path: { id } }, signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
}

export interface Place {
  endpoint?: string;
  gateway?: string;
  service?: string;
}

/** So many of a place are listed; the posture page has the others. */
export const SHOWN_MAX = 10;

/** What is weak at an endpoint or a service and not fixed, the gravest first. */
export function useWeaknessesOf(place: Place) {
  const query = { ...place, state: ['open' as const, 'excepted' as const], sort: 'severity' as const };
  return useQuery({
    queryKey: [WEAKNESSES, 'of', place],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/posture', { params: { query: { ...query, limit: SHOWN_MAX } }, signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
}

/** Classes of data with where they go. */
export function useClasses(place: { gateway?: string; service?: string } = {}) {
  return useQuery({
    queryKey: ['data classes', place],
    queryFn: ({ signal }) => got(api.GET('/api/v1/data-classes', { params: { query: place }, signal })),
    refetchInterval: useWhileWatched(3 * AGAIN_MS),
  });
}

export function useGateways() {
  return useQuery({
    queryKey: ['gateways'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/gateways', { signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
}

/** What consumers are called, by their ids, as the configurations of these gateways name them. */
export function useConsumerNames(gateways: string[]): ReadonlyMap<string, string> {
  const client = useQueryClient();
  const found = useQuery({
    queryKey: ['consumer names', ...gateways],
    queryFn: async () => {
      const all = await Promise.allSettled(gateways.map((name) => configurationOf(client, name)));
      const consumers = all.flatMap((one) => (one.status === 'fulfilled' ? one.value.configuration.consumers : []));
      return consumers.flatMap(({ id, username }) => (username ? [[id, username] as const] : []));
    },
    enabled: gateways.length > 0,
    staleTime: STALE_MS,
  });
  return useMemo(() => new Map(found.data), [found.data]);
}

/** As the page of gateways and others have it already. */
function configurationOf(client: QueryClient, name: string) {
  return client.fetchQuery({
    queryKey: ['gateway', name],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/gateways/{name}/configuration', { params: { path: { name } }, signal })),
    staleTime: STALE_MS,
  });
}
