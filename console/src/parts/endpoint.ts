// What an endpoint is called whose id a call has.
import { useQuery } from '@tanstack/react-query';

import { api, got } from '../api/client';

/** Its method and template, and until these are known its id. */
export function useEndpointName(id: string): string {
  const found = useQuery({
    queryKey: ['endpoint', id],
    queryFn: ({ signal }) => got(api.GET('/api/v1/endpoints/{id}', { params: { path: { id } }, signal })),
  });
  const key = found.data?.key;
  return key ? `${key.method} ${key.template}` : id;
}
