// How a service elsewhere does, from its last heartbeat. It may be of another version, so what is not as it should be is left out.
import type { Schemas } from '../../api/client';
import { count, length } from '../../parts/words';

type Service = Pick<Schemas['ServiceRow'], 'kind' | 'revoked_ms' | 'seen_ms' | 'heartbeat'>;

/** A service says every few seconds that it is there. */
const SILENT_MS = 60_000;

/** One that runs only when there is something to do. */
const mayBeSilent = (kind: string) => kind === 'function';

/** Whether it can be relied on, in a word. */
export function stateOf({ kind, revoked_ms, seen_ms }: Service, now: number): [looks: string, words: string] {
  if (revoked_ms) return ['', 'revoked'];
  if (!seen_ms) return ['warning', 'never seen'];
  if (now - seen_ms <= SILENT_MS) return ['good', 'answers'];
  return mayBeSilent(kind) ? ['', 'at rest'] : ['danger', 'silent'];
}

/** How long the oldest waits of what it has not shipped; undefined where it does not say. */
export function lagMsOf({ heartbeat }: Service): number | undefined {
  const seconds = part(heartbeat, 'status', 'spool')['lag_seconds'];
  return isNumber(seconds) ? seconds * 1000 : undefined;
}

/** What happened to the calls that it was sent, in words. */
export function accountsOf({ heartbeat }: Service): string | undefined {
  const accounts = part(heartbeat, 'status', 'accounts');
  if (!isNumber(accounts['received'])) return undefined;
  const said: [unknown, string][] = [
    [accounts['received'], 'received'],
    [accounts['shipped'], 'shipped'],
    [accounts['spooled'], 'in its spool'],
    [accounts['in_hand'], 'in hand'],
    [total(accounts['rejected']), 'rejected'],
    [total(accounts['dropped']), 'dropped'],
  ];
  return said
    .filter(([number, words]) => isNumber(number) && (number > 0 || words === 'received'))
    .map(([number, words]) => `${count(number as number)} ${words}`)
    .join(', ');
}

export interface LinkTrouble {
  since_ms: number;
  /** It lasts where there is none. */
  until_ms?: number;
  seen: string;
}

/** What last kept it from the platform. */
export function troubleOf({ heartbeat }: Service): LinkTrouble | undefined {
  const { since_ms, until_ms, seen } = part(heartbeat, 'status', 'link', 'last_trouble');
  if (!isNumber(since_ms) || typeof seen !== 'string') return undefined;
  return { since_ms, until_ms: isNumber(until_ms) ? until_ms : undefined, seen };
}

export function troubleWords({ since_ms, until_ms, seen }: LinkTrouble): string {
  return until_ms === undefined ? seen : `${seen}, for ${length(until_ms - since_ms)}`;
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function part(value: unknown, ...names: string[]): Record<string, unknown> {
  let found = value;
  for (const name of names) found = (found as Record<string, unknown> | null | undefined)?.[name];
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
}

function total(counts: unknown): number {
  return Object.values(part(counts)).reduce<number>((sum, one) => sum + (isNumber(one) ? one : 0), 0);
}
