// A service: where its page is, and what is asked about it.
import { type QueryClient, useQuery } from '@tanstack/react-query';

import { api, got } from '../../api/client';
import type { ApiRow } from '../../api/types';
import { useWhileWatched } from '../../live/now';

export type ServiceKey = Pick<ApiRow, 'gateway' | 'workspace' | 'service'>;

/** A comparison reads all endpoints of a service, so it is not asked for often. */
const AGAIN_MS = 60_000;

export function servicePath({ gateway, workspace, service }: ServiceKey): string {
  return `/apis/service?${new URLSearchParams({ gateway, workspace, service }).toString()}`;
}

export function keyIn(query: URLSearchParams): ServiceKey {
  const said = (name: string) => query.get(name) ?? '';
  return { gateway: said('gateway'), workspace: said('workspace'), service: said('service') };
}

/** Whether a row is of a service. A gateway’s ids are unique across its workspaces, so the workspace need not be said. */
export function isOf(key: ServiceKey, row: ServiceKey): boolean {
  const isThere = !key.workspace || row.workspace === key.workspace;
  return row.gateway === key.gateway && isThere && row.service === key.service;
}

export function nameOf({ service_name, service }: Pick<ApiRow, 'service_name' | 'service'>): string {
  return service_name || service;
}

/** All services that were called. */
export function useApis() {
  return useQuery({
    queryKey: ['apis'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/apis', { signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
}

const DRIFT = 'api drift';

export function driftKey(key: ServiceKey) {
  return [DRIFT, key.gateway, key.workspace, key.service];
}

export function useDrift(key: ServiceKey) {
  return useQuery({
    queryKey: driftKey(key),
    queryFn: ({ signal }) => got(api.GET('/api/v1/apis/drift', { params: { query: key }, signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
}

const TEMPLATES_KEY = ['templates'];

/** What was decided about templates changes what is known of all of these. */
export async function decided(client: QueryClient): Promise<void> {
  const changed = ['endpoint', 'endpoints', 'apis', DRIFT, TEMPLATES_KEY[0]];
  await Promise.all(changed.map((name) => client.invalidateQueries({ queryKey: [name] })));
}

export function useTemplates() {
  return useQuery({
    queryKey: TEMPLATES_KEY,
    queryFn: ({ signal }) => got(api.GET('/api/v1/templates', { signal })),
  });
}

/** A word of a command, as a shell takes it. */
function quoted(word: string): string {
  return /^[\w.:@/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Which service is meant in a terminal. The gateway is said where several have one of that name. */
function meant(row: ApiRow, all: ApiRow[]): string {
  const isAlone = all.filter((one) => nameOf(one) === nameOf(row)).length < 2;
  return `--service ${quoted(nameOf(row))}${isAlone ? '' : ` --gateway ${quoted(row.gateway)}`}`;
}

/** How a document is given in a terminal. */
export function importCommand(row: ApiRow, all: ApiRow[]): string {
  return `outrider openapi import ${meant(row, all)} openapi.yaml`;
}

/** How it is compared there. */
export function diffCommand(row: ApiRow, all: ApiRow[]): string {
  return `outrider openapi diff ${meant(row, all)}`;
}

/** What the file with a service's document is called. */
export function fileName(row: ApiRow): string {
  const plain = nameOf(row).replaceAll(/[^\w.-]+/g, '-');
  return `${plain.replaceAll(/^[-.]+|-+$/g, '') || 'service'}-openapi.json`;
}
