// What is known of an endpoint besides its template: what it carries, how risky it is, what of it is not seen.
import { useQuery } from '@tanstack/react-query';

import { api, got, Refusal } from '../../api/client';
import { useWhileWatched } from '../../live/now';

/** It is told every five minutes, or when something new was seen. */
const AGAIN_MS = 60_000;

/** Null where nothing is known yet. */
export function useInventory(id: string) {
  return useQuery({
    queryKey: ['endpoint inventory', id],
    queryFn: async ({ signal }) => {
      try {
        return await got(api.GET('/api/v1/endpoints/{id}/inventory', { params: { path: { id } }, signal }));
      } catch (error) {
        if (error instanceof Refusal && error.status === 404) return null;
        throw error;
      }
    },
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
}
