// A weakness in words, and where its page is.
import type { CheckRow, RiskScore, Severity, WeaknessCounts, WeaknessRow, WeaknessStanding } from '../../api/types';

type State = WeaknessRow['state'];
type Exception = Extract<State, { excepted: unknown }>['excepted'];
export type Subject = WeaknessRow['subject'];

export const STANDING_WORDS: Record<WeaknessStanding, string> = {
  open: 'Open',
  excepted: 'Excepted',
  fixed: 'Fixed',
};

/** The word of a state, as filters have it. */
export function standingOf(state: State): WeaknessStanding {
  return typeof state === 'string' ? state : 'excepted';
}

export function exceptionOf(state: State): Exception | undefined {
  return typeof state === 'string' ? undefined : state.excepted;
}

export function weaknessPath(id: string): string {
  return `/posture/${id}`;
}

export function checkPath(name: string): string {
  return `/posture/checks/${name}`;
}

/** The list, with filters. */
export function posturePath(filter: Record<string, string>): string {
  return `/posture?${new URLSearchParams(filter).toString()}`;
}

/** What a check is called: by its title, and before that is known by its name. */
export function checkWords(name: string, checks: Pick<CheckRow, 'name' | 'title'>[] = []): string {
  const words = name.replaceAll('_', ' ');
  return checks.find((check) => check.name === name)?.title ?? words.charAt(0).toUpperCase() + words.slice(1);
}

/** What people call where a weakness is: the service, and for what is about none the gateway. */
export function placeOf({ service_name, service, gateway }: WeaknessRow): string {
  return service_name || service || gateway;
}

/** How many open ones each id of the OWASP Top 10 has. Checks say which of them they are about. */
export function byOwasp({ open_by_check }: WeaknessCounts, checks: CheckRow[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { name, owasp } of checks) counts.set(owasp, (counts.get(owasp) ?? 0) + (open_by_check[name] ?? 0));
  return counts;
}

/** An exception ends with the day that somebody chose, where they are. */
export function endOfDay(day: string): number {
  const [year, month, date] = day.split('-').map(Number) as [number, number, number];
  return new Date(year, month - 1, date + 1).getTime();
}

/** The day so many days from now, as a field of a date has it. */
export function dayIn(days: number, now = Date.now()): string {
  const then = new Date(now);
  then.setDate(then.getDate() + days);
  const two = (value: number) => String(value).padStart(2, '0');
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}`;
}

/** Under which entity the alert of a weakness is: whom it is about, else its service, else its gateway. */
export function alertEntity({ subject, service, gateway }: WeaknessRow): string {
  if ('consumer' in subject) return subject.consumer.consumer;
  if ('credential' in subject) return subject.credential.credential;
  return service || gateway;
}

/** How bad a score from 0 to 10 is, for its colour. */
export function gravity(score: number): Severity {
  if (score >= 7) return 'critical';
  if (score >= 4) return 'high';
  if (score >= 2) return 'medium';
  return score > 0 ? 'low' : 'info';
}

/** As the API reckons it, to the tenth. */
export function scoreWords(score: number): string {
  return score.toFixed(1);
}

const FACTOR_WORDS: Record<string, string> = {
  data_personal: 'Personal data',
  data_payment: 'Payment data',
  data_health: 'Health data',
  data_credentials: 'Credentials in its data',
  data_location: 'Location data',
  open_to_anybody: 'Answers without authentication',
};

/** What makes a score: a check by its title, and what else it may be. */
export function factorWords(name: string, checks: Pick<CheckRow, 'name' | 'title'>[]): string {
  return FACTOR_WORDS[name] ?? checkWords(name, checks);
}

/** The parts of a bar that is full at 10, or at what all factors come to where that is more. */
export function partsOfScore({ factors }: RiskScore): { name: string; width: string }[] {
  const sum = factors.reduce((total, { points }) => total + points, 0);
  const full = Math.max(10, sum);
  return factors.map(({ name, points }) => ({ name, width: `${(points / full) * 100}%` }));
}
