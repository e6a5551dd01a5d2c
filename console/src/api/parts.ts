// The parts of outrider wherever they run: in the platform's own process, and as services elsewhere, whose heartbeats bring
// their own status. These may be of another version, so what is not as it should be is left out.
import type { Status } from './status';

/** Where a part is: in the platform's own process without a service. */
interface Place {
  service?: string;
  isSilent: boolean;
}

export interface Source extends Place {
  name: string;
  connections_open: number;
  received: number;
  accepted: number;
  untrusted: number;
  dropped: number;
  rejected: number;
  /** 0 if nothing came yet. */
  last_received_ms: number;
  /** The moment that these numbers are of. */
  as_of_ms: number;
}

export interface Responder extends Place {
  gateway: string;
  failure?: string;
  guard_problem?: string;
  /** 0 before it has listed what the gateway holds. */
  listed_ms: number;
  own_plugins: number;
  written: number;
  deleted: number;
  repaired: number;
}

export interface GatewayReading extends Place {
  gateway: string;
  failure?: string;
  read_ms: number;
}

/** What a collector has stored and not yet shipped. */
export interface Spool extends Place {
  bytes: number;
  records_waiting: number;
  dropped_calls: number;
  /** How long the oldest of it waits. */
  lag_ms: number;
}

/** A service elsewhere that does not answer now, and did before. */
export interface SilentService {
  name: string;
  kind: string;
  since_ms: number;
}

export interface Parts {
  sources: Source[];
  /** One for each gateway. */
  responders: Responder[];
  configurations: GatewayReading[];
  spools: Spool[];
  silent: SilentService[];
}

/** All parts, with their times by the platform's clock. */
export function partsOf(status: Status): Parts {
  const local = { isSilent: false, as_of_ms: status.read_ms, ahead_ms: 0 };
  const parts = [partsAt(status, local)];
  const silent: SilentService[] = [];
  for (const service of list(status.services)) {
    const name = text(service['name']);
    if (name === undefined) continue;
    const silentMs = number(service['silent_seconds']) * 1000;
    // Who never spoke is not set up yet, and nobody misses it.
    const isSilent = service['is_connected'] === false && typeof service['silent_seconds'] === 'number';
    if (isSilent) silent.push({ name, kind: text(service['kind']) ?? 'service', since_ms: status.read_ms - silentMs });
    const place = {
      service: name,
      isSilent,
      as_of_ms: status.read_ms - silentMs,
      ahead_ms: number(service['clock_ahead_ms']),
    };
    parts.push(partsAt(record(service['status']), place));
  }
  return {
    sources: parts.flatMap((part) => part.sources),
    responders: newest(
      parts.flatMap((part) => part.responders),
      (one) => one.listed_ms,
    ),
    configurations: newest(
      parts.flatMap((part) => part.configurations),
      (one) => one.read_ms,
    ),
    spools: parts.flatMap((part) => part.spools),
    silent,
  };
}

/** Calls that collectors had no room for, before their spools and in them. */
export function droppedBy(sources: Source[], spools: Spool[]): number {
  return (
    sources.reduce((sum, source) => sum + source.dropped, 0) +
    spools.reduce((sum, spool) => sum + spool.dropped_calls, 0)
  );
}

interface Process extends Place {
  as_of_ms: number;
  /** How far its clock is ahead of the platform's. */
  ahead_ms: number;
}

function partsAt(status: object, { service, isSilent, as_of_ms, ahead_ms }: Process) {
  const { sources, responders, configurations, spool } = status as Record<string, unknown>;
  const place = { service, isSilent };
  const time = (value: unknown) => (number(value) > 0 ? number(value) - ahead_ms : 0);
  return {
    sources: list(sources).flatMap((source): Source[] => {
      const [name, counters] = [text(source['name']), record(source['counters'])];
      if (name === undefined) return [];
      return [
        {
          ...place,
          name,
          connections_open: number(counters['connections_open']),
          received: number(counters['received']),
          accepted: number(counters['accepted']),
          untrusted: number(counters['untrusted']),
          dropped: total(counters['dropped']),
          rejected: total(counters['rejected']),
          last_received_ms: time(record(counters['health'])['last_received_ms']),
          as_of_ms,
        },
      ];
    }),
    responders: list(responders).flatMap((responder): Responder[] => {
      const gateway = text(responder['gateway']);
      if (gateway === undefined) return [];
      return [
        {
          ...place,
          gateway,
          failure: text(responder['failure']),
          guard_problem: text(responder['guard_problem']),
          listed_ms: time(responder['listed_ms']),
          own_plugins: number(responder['own_plugins']),
          written: number(responder['written']),
          deleted: number(responder['deleted']),
          repaired: number(responder['repaired']),
        },
      ];
    }),
    configurations: list(configurations).flatMap((reading): GatewayReading[] => {
      const gateway = text(reading['gateway']);
      if (gateway === undefined) return [];
      return [{ ...place, gateway, failure: text(reading['failure']), read_ms: time(reading['read_ms']) }];
    }),
    spools: typeof spool === 'object' && spool !== null ? [spoolOf(record(spool), place, as_of_ms, time)] : [],
  };
}

function spoolOf(
  spool: Record<string, unknown>,
  place: Place,
  as_of_ms: number,
  time: (value: unknown) => number,
): Spool {
  const since = time(spool['waiting_since_ms']);
  return {
    ...place,
    bytes: number(spool['bytes']),
    records_waiting: number(spool['records_waiting']),
    dropped_calls: number(spool['dropped_calls']),
    lag_ms: since > 0 ? Math.max(0, as_of_ms - since) : 0,
  };
}

/** A gateway that was handed from one responder to another is in the status of both; the later word counts. */
function newest<T extends { gateway: string }>(parts: T[], when: (part: T) => number): T[] {
  const byGateway = new Map<string, T>();
  for (const part of parts) {
    const known = byGateway.get(part.gateway);
    if (known === undefined || when(part) > when(known)) byGateway.set(part.gateway, part);
  }
  return [...byGateway.values()];
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function total(counts: unknown): number {
  return Object.values(record(counts)).reduce<number>((sum, count) => sum + number(count), 0);
}
