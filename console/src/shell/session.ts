// Who is signed in, and what they may do.
import { useQuery } from '@tanstack/react-query';

import { api, got, Refusal } from '../api/client';
import { may, type Me, type Role } from '../api/types';

/** Null while nobody is signed in. */
async function getSession(): Promise<Me | null> {
  try {
    return await got(api.GET('/api/v1/session'));
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return null;
    throw error;
  }
}

export function useSession() {
  return useQuery({ queryKey: ['session'], queryFn: getSession, staleTime: Infinity, retry: false });
}

/** Whether whoever is signed in may do what asks for this role. What they may not do is not shown. */
export function useMay(least: Role): boolean {
  return may(useSession().data?.role, least);
}
