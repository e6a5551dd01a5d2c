// What is marked on an entity's strip: its alerts, what restricted it, and times from which calls may be missing or are not kept.
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';

import { api, got } from '../../api/client';
import { getStatus } from '../../api/status';
import type { EntityKey } from '../../api/types';
import type { Range } from '../../charts/scale';
import type { Mark, Stretch } from '../../charts/Strip';
import { useNow } from '../../parts/basics';
import { ACTION_STATE_WORDS, detectorName, doing } from '../../parts/words';

type Whom = Pick<EntityKey, 'value'> & { gateway?: string };

const LIMIT = 200;
/** A range that moves with the time asks again only when it has moved by this much. */
const ROUND_MS = 300_000;
/** It is another one once a day. */
const OLDEST_DAY_MS = 600_000;

export function useMarks({ value }: Whom): Mark[] {
  const alerts = useQuery({
    queryKey: ['now', 'alerts', value],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/alerts', { params: { query: { entity: value, limit: LIMIT } }, signal })),
  });
  return useMemo(
    () =>
      (alerts.data?.items ?? []).map((alert) => ({
        id: alert.id,
        at: alert.opened_ms,
        words: `${detectorName(alert.detector)}: ${alert.sentence}`,
        looks: alert.severity,
        to: `/alerts/${alert.id}`,
      })),
    [alerts.data],
  );
}

/** Time before the oldest day of the lake: that nothing is drawn there does not say that nobody called. */
export function useNotKept(range: Range | undefined): Stretch[] {
  const oldest = useQuery({
    queryKey: ['oldest day'],
    queryFn: async ({ signal }) => (await getStatus(signal)).platform?.progress?.lake_oldest_day ?? null,
    staleTime: OLDEST_DAY_MS,
  });
  const day = oldest.data;
  return useMemo(() => {
    // Days of the lake are those of UTC.
    const until = Date.parse(day ?? '');
    if (range === undefined || !(until > range.since)) return [];
    const words = `Not kept: the lake begins with ${day} (UTC)`;
    return [{ id: 'not kept', since: range.since, until, kind: 'not_kept', words }];
  }, [day, range]);
}

/** Times from which calls of a gateway, or of any, may be missing. */
export function useGaps(gateway: string | undefined, range: Range | undefined): Stretch[] {
  const time = range && {
    since_ms: Math.floor(Math.max(range.since, 0) / ROUND_MS) * ROUND_MS,
    until_ms: Math.ceil(range.until / ROUND_MS) * ROUND_MS,
  };
  const missing = useQuery({
    queryKey: ['now', 'notices', 'gaps', gateway, time],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/gaps', { params: { query: { gateway, ...time, limit: LIMIT } }, signal })),
    enabled: time !== undefined,
    placeholderData: keepPreviousData,
  });
  const now = useNow();
  return useMemo(
    () =>
      (missing.data?.items ?? []).map((gap) => ({
        id: `gap ${gap.id}`,
        since: gap.since_ms,
        until: gap.until_ms ?? now,
        kind: 'gap',
        words: `${gap.kind.replaceAll('_', ' ')}: ${gap.detail}`,
      })),
    [missing.data, now],
  );
}

export function useStretches({ value, gateway }: Whom, range: Range): Stretch[] {
  const { since, until } = range;
  const notKept = useNotKept(range);
  const actions = useQuery({
    queryKey: ['now', 'actions', value],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/actions', { params: { query: { target: value, limit: LIMIT } }, signal })),
  });
  const gaps = useGaps(gateway, range);
  const now = useNow();
  return useMemo(() => {
    const blocks = (actions.data?.items ?? []).flatMap((action): Stretch[] => {
      const began = action.history.find((step) => step.state === 'stored')?.at_ms;
      if (began === undefined) return [];
      const ended = action.history.find((step) => step.state === 'released' || step.state === 'failed')?.at_ms ?? now;
      return [
        {
          id: action.id,
          since: began,
          until: ended,
          kind: 'action',
          words: `${doing(action.kind)}: ${ACTION_STATE_WORDS[action.state]}`,
        },
      ];
    });
    return [...notKept, ...blocks, ...gaps].filter((stretch) => stretch.until >= since && stretch.since <= until);
  }, [notKept, actions.data, gaps, since, until, now]);
}
