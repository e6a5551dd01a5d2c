// What one may choose from, in a policy or a filter: what there is in this installation.
import { useQuery } from '@tanstack/react-query';

import { api, got } from '../../api/client';
import { getStatus } from '../../api/status';

/** Detectors that run, all hunts as a family, and each saved hunt. */
export function useDetectors(): string[] {
  const status = useQuery({ queryKey: ['status'], queryFn: ({ signal }) => getStatus(signal) });
  const hunts = useQuery({
    queryKey: ['hunts', 'names'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/hunts', { params: { query: { limit: 200 } }, signal })),
    retry: false,
  });
  const detectors = (status.data?.platform?.analysis?.detectors ?? []).map((detector) => detector.name);
  const saved = (hunts.data?.items ?? []).map((row) => `hunt:${row.hunt.name}`);
  return [...detectors, ...(saved.length > 0 ? ['hunt', ...saved] : [])];
}

export function useServices(): string[] {
  const endpoints = useQuery({
    queryKey: ['services', 'names'],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/endpoints', { params: { query: { limit: 500, sort: 'calls' } }, signal })),
  });
  return [...new Set((endpoints.data?.items ?? []).map((endpoint) => endpoint.service_name).filter(Boolean))].sort();
}
