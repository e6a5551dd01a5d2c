// What people decide about alerts: about one of them, and the same about many.
import { api, got, once } from '../../api/client';
import type { Alert, AlertState } from '../../api/types';

export type Decision = 'acknowledge' | 'resolve' | 'false-positive';
export const DECISIONS: Decision[] = ['acknowledge', 'resolve', 'false-positive'];

export const DECISION_WORDS: Record<Decision, string> = {
  acknowledge: 'Acknowledge',
  resolve: 'Resolve',
  'false-positive': 'False positive',
};

export function isPossible(decision: Decision, state: AlertState): boolean {
  return state === 'open' || (state === 'acknowledged' && decision !== 'acknowledge');
}

/** The alert as it is then. All decisions but that somebody looks at it need a reason. */
export function decide(decision: Decision, { id }: Alert, reason: string): Promise<Alert> {
  const path = { params: { path: { id } }, headers: once() };
  switch (decision) {
    case 'acknowledge':
      return got(api.POST('/api/v1/alerts/{id}/acknowledge', { ...path, body: {} }));
    case 'resolve':
      return got(api.POST('/api/v1/alerts/{id}/resolve', { ...path, body: { reason } }));
    case 'false-positive':
      return got(api.POST('/api/v1/alerts/{id}/false-positive', { ...path, body: { reason } }));
  }
}

const AT_ONCE = 4;

/** Does the same to each, a few at a time. One that fails keeps no other from its turn; says of which ids it failed, and why. */
export async function eachOf<T extends { id: string }>(
  rows: T[],
  one: (row: T) => Promise<unknown>,
): Promise<Map<string, string>> {
  const failures = new Map<string, string>();
  const waiting = [...rows];
  const work = async () => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) {
      try {
        await one(row);
      } catch (error) {
        failures.set(row.id, error instanceof Error ? error.message : String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return failures;
}
