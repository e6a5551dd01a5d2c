// The files that say where a call came from: databases, and lists of networks.
import type { EnrichmentStatus } from '../../api/status';
import { bytes, counted } from '../../parts/words';

export interface EnrichmentFile {
  file: string;
  /** The type of a database, or the kind of network that a list has. */
  what: string;
  builtMs?: number;
  isOld: boolean;
  holds: string;
  readMs?: number;
  /** Lines of a list that are none. */
  badLines: number;
  problem?: string;
}

/** As `outrider doctor` warns, of more whole days than these: addresses change hands. */
const DAYS_MAX = 60;
const DAY_MS = 86_400_000;

export function filesOf({ databases = [], lists = [] }: EnrichmentStatus, now: number): EnrichmentFile[] {
  return [
    ...databases.map((one) => ({
      file: one.file,
      what: one.type ?? 'database',
      builtMs: one.built_ms ?? undefined,
      isOld: one.built_ms != null && Math.floor((now - one.built_ms) / DAY_MS) > DAYS_MAX,
      // Of one that was refused it is the size of what lies there, and not of the one that is in force.
      holds: one.problem ? '–' : bytes(one.bytes),
      readMs: one.loaded_ms ?? undefined,
      badLines: 0,
      problem: one.problem ?? undefined,
    })),
    ...lists.map((one) => ({
      file: one.file,
      what: `list of ${one.class ?? 'networks'}`,
      isOld: false,
      holds: one.entries == null ? '–' : counted(one.entries, 'entry', 'entries'),
      readMs: one.loaded_ms ?? undefined,
      badLines: one.bad_lines ?? 0,
      problem: one.problem ?? undefined,
    })),
  ];
}
