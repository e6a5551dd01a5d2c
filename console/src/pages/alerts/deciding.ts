// What people decide about alerts: about one of them, and the same about many.
import { useQuery } from '@tanstack/react-query';

import { api, got, once, Refusal } from '../../api/client';
import { getStatus } from '../../api/status';
import type { Alert, AlertState } from '../../api/types';
import { useNow } from '../../parts/basics';

export type Decision = 'acknowledge' | 'resolve' | 'false-positive';
export const DECISIONS: Decision[] = ['acknowledge', 'resolve', 'false-positive'];

export const DECISION_WORDS: Record<Decision, string> = {
  acknowledge: 'Acknowledge',
  resolve: 'Resolve',
  'false-positive': 'False positive',
};

/** What follows from it, of one alert as well as of many; of those decisions that need a reason. */
export const CONSEQUENCES: Record<Exclude<Decision, 'acknowledge'>, string> = {
  resolve: 'The same again opens a new alert. Actions that came from it run on.',
  'false-positive': 'Actions that came from it are released, and the same stays silent for a while.',
};

export const HISTORY_WORDS =
  'This alert is only history now: it ended long ago, and cannot be changed or acted on any more.';

/** Whether an alert that is shown ended so long ago that outrider does not work with it any more. */
export function isOnlyHistory(error: unknown): boolean {
  return error instanceof Refusal && error.status === 404;
}

/** Why something could not be done about an alert that is shown. */
function whyNot(error: unknown): string {
  if (isOnlyHistory(error)) return HISTORY_WORDS;
  return error instanceof Error ? error.message : String(error);
}

const POSSIBLE: Record<AlertState, Decision[]> = {
  open: DECISIONS,
  acknowledged: ['resolve', 'false-positive'],
  // Also what ended by itself may turn out to be no abuse.
  resolved: ['false-positive'],
  false_positive: [],
};

/** `forgotten` says that outrider does not work with it any more. */
export function isPossible(decision: Decision, state: AlertState, forgotten: boolean): boolean {
  return !forgotten && POSSIBLE[state].includes(decision);
}

/**
 * Whether an alert certainly ended longer ago than outrider works with those that ended. It ended at the latest when it last
 * changed; of one that was commented on since then, the first refusal says it.
 */
export function isForgotten(
  { state, updated_ms }: Pick<Alert, 'state' | 'updated_ms'>,
  rememberedMs: number | undefined,
  now: number,
): boolean {
  const hasEnded = state === 'resolved' || state === 'false_positive';
  return hasEnded && rememberedMs !== undefined && updated_ms + rememberedMs < now;
}

/** What the desk takes decisions about. */
function useDesk() {
  const desk = useQuery({
    queryKey: ['desk'],
    queryFn: async ({ signal }) => {
      const { alerts_remembered_ms: remembered, gateways_served: served } = (await getStatus(signal)).platform ?? {};
      return { remembered, served };
    },
    // It is part of the configuration.
    staleTime: Infinity,
  });
  return desk.data;
}

/** Says of each alert whether nothing can be decided about it any more. */
export function useForgotten(): (alert: Alert) => boolean {
  const remembered = useDesk()?.remembered;
  const now = useNow();
  return (alert) => isForgotten(alert, remembered, now);
}

/** Whether there is a responder that could block at a gateway. */
export function useServed(gateway: string): boolean {
  return useDesk()?.served?.includes(gateway) ?? true;
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

/** Does the same to each alert, a few at a time. One that fails keeps no other from its turn; says of which ids it failed, and why. */
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
        failures.set(row.id, whyNot(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return failures;
}
