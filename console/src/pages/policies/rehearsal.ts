// What a policy would have done about findings, by the rules that `crates/respond/src/desk/judge.rs` has for one policy by itself:
// only a consumer is restricted, only where it happened, and nothing is begun again that runs already. What else may keep an action
// from beginning, such as a guard rail, is not known here.
import type { Finding, Policy } from '../../api/types';
import { matches } from './matching';

export interface WouldAct {
  /** The finding that it would have begun with. */
  finding: Finding;
  atMs: number;
  /** Undefined where it would have stayed until somebody releases it. */
  untilMs: number | undefined;
  /** It would have asked a person: the evidence did not prove where it is from. */
  asks: boolean;
}

export interface Rehearsal {
  /** The findings that the condition fits. */
  found: Finding[];
  /** How many alerts they are of, at the least: those of one entity and detector are of one alert until that ends. */
  alertsMin: number;
  /** What it would have done, the newest first. */
  actions: WouldAct[];
  /** How many of the findings are about whom, or about something, that no policy restricts. */
  beyond: number;
}

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** How long an action lasts; undefined for one without an end. */
function lengthMs(duration: string): number | undefined {
  const [, number, unit] = /^(\d+)([smhd])$/.exec(duration) ?? [];
  return number && unit ? Number(number) * UNIT_MS[unit]! : undefined;
}

/** Where a policy restricts whom a finding is about; undefined where it does not. */
function placeOf({ scope }: Policy, { entity, target, service_id, route_id }: Finding): string | undefined {
  if (entity.kind !== 'consumer' || target.anonymous_consumer) return undefined;
  const where = { consumer: '', service: service_id, route: route_id }[scope];
  if (scope !== 'consumer' && where === '') return undefined;
  return JSON.stringify([entity.gateway, entity.workspace, entity.value, where]);
}

export function rehearse(policy: Policy, findings: Finding[]): Rehearsal {
  const found = findings.filter((finding) => matches(policy.when, finding));
  const alerts = new Set(
    found.map(({ entity, detector }) =>
      JSON.stringify([entity.gateway, entity.workspace, entity.kind, entity.value, detector]),
    ),
  );
  const last = lengthMs(policy.duration);
  const ends = new Map<string, number>();
  const actions: WouldAct[] = [];
  let beyond = 0;
  for (const finding of [...found].sort((one, other) => one.raised_ms - other.raised_ms)) {
    const place = placeOf(policy, finding);
    if (place === undefined) {
      beyond += 1;
      continue;
    }
    // It counts from when it happened, and begins when it is found.
    const [atMs, untilMs] = [finding.raised_ms, last === undefined ? undefined : finding.event_ms + last];
    const isOver = untilMs !== undefined && untilMs <= atMs;
    if (isOver || (ends.get(place) ?? 0) > atMs) continue;
    ends.set(place, untilMs ?? Infinity);
    actions.unshift({ finding, atMs, untilMs, asks: finding.target.untrusted });
  }
  return { found, alertsMin: alerts.size, actions, beyond };
}
