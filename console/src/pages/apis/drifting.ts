// How a document and the calls differ: in words, and the filter that finds some of it.
import { type Drift, type DriftKind, SEVERITIES, type Severity } from '../../api/types';
import type { Countable } from '../timeline/counting';

interface Words {
  name: string;
  /** What is meant by it. */
  title: string;
}

export const DRIFT_KINDS: Record<DriftKind, Words> = {
  unauthenticated: {
    name: 'Open door',
    title: 'security is declared, and calls without anything that could prove who calls were served',
  },
  shadow: { name: 'Shadow endpoint', title: 'called, and not documented' },
  undocumented_method: { name: 'Undocumented method', title: 'its path is documented, with other methods' },
  zombie: { name: 'Zombie endpoint', title: 'deprecated, and still called' },
  missing_required: {
    name: 'Required parameter missing',
    title: 'calls without a required parameter were served',
  },
  type_mismatch: { name: 'Other type', title: 'values are not of the documented type, format or enumeration' },
  undocumented_parameter: { name: 'Undocumented parameter', title: 'sent, and not documented' },
  orphan: { name: 'Orphan', title: 'documented, and never called' },
  unused_route: { name: 'Unused route', title: 'a route of the gateway that no call came by' },
  uncovered_by_routes: { name: 'No route for it', title: 'no path of a route of the gateway takes it' },
};

/** A kind of a newer outrider stands for itself. */
export function kindWords(kind: string): Words {
  const known: Partial<Record<string, Words>> = DRIFT_KINDS;
  return known[kind] ?? { name: kind.replaceAll('_', ' '), title: '' };
}

/** The filter is of a least severity, so the worse ones are counted with each; all have the least. */
const WORSE = SEVERITIES.slice(1);

export const DRIFT_FIELDS: Countable<Drift>[] = [
  {
    field: 'severity_min',
    title: 'Severity',
    valuesOf: ({ severity }) => WORSE.filter((one) => SEVERITIES.indexOf(one) <= SEVERITIES.indexOf(severity)),
    words: (value) => (value === SEVERITIES.at(-1) ? value : `${value} or worse`),
  },
  { field: 'kind', title: 'Kind', valuesOf: ({ kind }) => [kind], words: (value) => kindWords(value).name },
];

export interface DriftFilter {
  severityMin?: Severity;
  kind?: string;
}

export function filterIn(query: URLSearchParams): DriftFilter {
  return {
    severityMin: SEVERITIES.find((one) => one === query.get('severity_min')),
    kind: query.get('kind') ?? undefined,
  };
}

export function fits({ severity, kind }: Drift, filter: DriftFilter): boolean {
  const isGrave = SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(filter.severityMin ?? 'info');
  return isGrave && (filter.kind === undefined || filter.kind === kind);
}

/** No two differences are alike in all of this. */
export function driftId({ kind, method, template, endpoint, parameter, pointer, route }: Drift): string {
  return [kind, method, template, endpoint, parameter?.location, parameter?.name, pointer, route].join('\n');
}
