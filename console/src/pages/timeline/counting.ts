// Which values the calls of a list have, and how many have each: of the rows that are loaded, and of no others.
import type { CallRow, EntityKind } from '../../api/types';
import { term } from '../../parts/search';

export interface FacetValue {
  /** The term that finds these calls. */
  term: string;
  words: string;
  calls: number;
}

export interface Facet {
  /** The field of a search. */
  field: string;
  title: string;
  /** The most frequent first. */
  values: FacetValue[];
  /** How many other values there are. */
  others: number;
}

interface Field {
  field: string;
  title: string;
  /** Whose timeline it would say the same of in each row. */
  whose?: EntityKind;
  /** What a search finds the call by; null where it has none. */
  valueOf: (call: CallRow) => string | null;
  words?: (value: string) => string;
}

const FIELDS: Field[] = [
  {
    field: 'status',
    title: 'Status',
    valueOf: ({ status }) => `${Math.floor(status / 100)}00..${Math.floor(status / 100)}99`,
    words: (value) => `${value.charAt(0)}xx`,
  },
  { field: 'method', title: 'Method', valueOf: ({ method }) => method },
  { field: 'endpoint', title: 'Endpoint', valueOf: ({ endpoint_id }) => endpoint_id },
  {
    field: 'consumer',
    title: 'Consumer',
    whose: 'consumer',
    valueOf: ({ consumer_id, consumer_name }) => consumer_name ?? consumer_id,
  },
  { field: 'ip', title: 'Address', whose: 'ip', valueOf: ({ client_ip }) => client_ip },
  { field: 'network', title: 'Network', valueOf: ({ network_class }) => network_class },
  { field: 'country', title: 'Country', valueOf: ({ country }) => country },
];

/** How many values of a field are listed. */
const VALUES_MAX = 5;

export function facetsOf(rows: CallRow[], whose?: EntityKind): Facet[] {
  return FIELDS.filter((field) => whose === undefined || field.whose !== whose)
    .map((field) => facetOf(field, rows))
    .filter(({ values }) => values.length > 0);
}

function facetOf({ field, title, valueOf, words = (value) => value }: Field, rows: CallRow[]): Facet {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const value = valueOf(row);
    if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  // Those that are as frequent have one order, whichever comes first.
  const sorted = [...counts].sort(([one, few], [other, many]) => many - few || (one < other ? -1 : 1));
  const values = sorted
    .slice(0, VALUES_MAX)
    .map(([value, calls]) => ({ term: term(field, value), words: words(value), calls }));
  return { field, title, values, others: sorted.length - values.length };
}
