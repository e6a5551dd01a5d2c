// Numbers, times and names as people read them.
import type { Action, ActionState, AlertState, EntityKind } from '../api/types';

const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
// Making one of these takes longer than using it a hundred times.
const oneDigit = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const threeDigits = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const allDigits = new Intl.NumberFormat(undefined, { maximumFractionDigits: 20 });
const compact = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });

export function count(value: number | undefined | null): string {
  return value === undefined || value === null ? '–' : whole.format(value);
}

/** A number as it is, with what sets its thousands apart. */
export function exact(value: number): string {
  // More digits than these are not kept in a number.
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? String(value) : allDigits.format(value);
}

/** So many of them: "1 line", "2 lines". */
export function counted(value: number | undefined | null, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function short(value: number): string {
  return value < 10_000 ? whole.format(value) : compact.format(value);
}

/** A number with as many digits as say something. */
export function figure(value: number): string {
  if (Number.isInteger(value) || Math.abs(value) >= 100) return whole.format(value);
  return threeDigits.format(value);
}

export function rate(perSecond: number | undefined): string {
  return perSecond === undefined ? '–' : `${figure(Math.round(perSecond * 10) / 10)}/s`;
}

export function share(value: number): string {
  return `${(value < 0.1 ? oneDigit : whole).format(value * 100)} %`;
}

const RAISED = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** How rarely something comes by chance, from its surprise: the negative decimal logarithm of that. */
export function chance(surprise: number): string {
  if (surprise < 6) return `1 in ${compact.format(10 ** surprise)}`;
  return `1 in 10${Array.from(String(Math.round(surprise)), (digit) => RAISED[Number(digit)]).join('')}`;
}

export function bytes(value: number | undefined | null): string {
  if (value === undefined || value === null) return '–';
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let [rest, unit] = [value, 0];
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${(rest < 10 && unit > 0 ? oneDigit : whole).format(rest)} ${units[unit]!}`;
}

/** A length of time, in its two largest units. */
export function length(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const units: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  let rest = Math.round(ms / 1000);
  const said: string[] = [];
  for (const [seconds, name] of units) {
    const number = Math.floor(rest / seconds);
    if (number > 0 && said.length < 2) said.push(`${number} ${name}`);
    else if (said.length > 0) break;
    rest -= number * seconds;
  }
  return said.join(' ');
}

export function utc(ms: number): string {
  return `${new Date(ms).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const dayAndClock = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const date = new Intl.DateTimeFormat(undefined, {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});

export function isToday(ms: number, now: number): boolean {
  return new Date(ms).toDateString() === new Date(now).toDateString();
}

/** Local time: the clock alone for today, with the day for others, with the year for another one. */
export function local(ms: number, now = Date.now()): string {
  const [then, today] = [new Date(ms), new Date(now)];
  if (isToday(ms, now)) return clock.format(then);
  return then.getFullYear() === today.getFullYear() ? dayAndClock.format(then) : date.format(then);
}

export function ago(ms: number, now = Date.now()): string {
  const passed = now - ms;
  if (passed < -1500) return `in ${oneUnit(-passed)}`;
  return passed < 5000 ? 'now' : `${oneUnit(passed)} ago`;
}

function oneUnit(ms: number): string {
  if (ms < 60_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)} h`;
  return `${Math.floor(ms / 86_400_000)} d`;
}

export const ENTITY_WORDS: Record<EntityKind, string> = {
  consumer: 'Consumer',
  credential: 'Credential',
  ip: 'Address',
  network: 'Network',
  session: 'Session',
  business: 'Business entity',
  service: 'Service',
  gateway: 'Gateway',
};

export const ALERT_STATE_WORDS: Record<AlertState, string> = {
  open: 'Open',
  acknowledged: 'Acknowledged',
  resolved: 'Resolved',
  false_positive: 'False positive',
};

export const ACTION_STATE_WORDS: Record<ActionState, string> = {
  proposed: 'Waits for approval',
  approved: 'Approved',
  rejected: 'Rejected',
  pending: 'On its way',
  stored: 'At the gateway',
  in_force: 'In force',
  releasing: 'Being released',
  released: 'Released',
  failed: 'Failed',
  too_late: 'Too late',
};

/**
 * What a detector found, as a title: `request_spike` is "Request spike", `hunt:refused-often` "Hunt: refused-often",
 * `posture:plain_http` "Posture: plain http".
 */
export function detectorName(detector: string): string {
  const [kind, name] = detector.split(':');
  const words = (kind ?? '').replaceAll('_', ' ');
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  // People name hunts, and outrider its checks.
  return name ? `${title}: ${kind === 'posture' ? name.replaceAll('_', ' ') : name}` : title;
}

/** Who did something, as the API names them: "anna", "policy block-spikes", "token siem". */
export function byWhom(by: string): string {
  return by.startsWith('person:') ? by.slice('person:'.length) : by.replace(':', ' ');
}

/** What an action does: "Block · 403", "Limit · 30 a minute". */
export function doing(kind: Action['kind']): string {
  if (kind.kind === 'block') return `Block · ${kind.status}`;
  const limits = Object.entries(kind.limits).filter(([, most]) => most !== null && most !== undefined);
  return `Limit · ${limits.map(([window, most]) => `${String(most)} a ${window}`).join(', ')}`;
}

export function scopeWords(scope: Action['scope']): string {
  return scope.kind === 'consumer' ? 'everything it calls' : `${scope.kind} ${scope.name || scope.id}`;
}

/** When a restriction ended, or when it will by itself; undefined where it will not. */
export function endOf(action: Action): number | undefined {
  const over = action.history.findLast((step) => ['released', 'rejected', 'failed', 'too_late'].includes(step.state));
  return over?.at_ms ?? action.expires_ms ?? undefined;
}
