// Which values the rows of a list have, and how many have each: of the rows that are loaded, and of no others.
import type { CallRow, EntityKind } from '../../api/types';
import { term } from '../../parts/search';

export interface FacetValue {
  /** The term that finds these rows. */
  term: string;
  /** What it is called, or the value itself. */
  words: string;
  count: number;
}

export interface Facet {
  /** The field of a search, or of a filter. */
  field: string;
  title: string;
  /** The most frequent first. */
  values: FacetValue[];
  /** They stand there as the filter has them, and not by what they are called. */
  areAsWritten: boolean;
  /** How many other values there are. */
  others: number;
}

/** What rows of a list may have in common. */
export interface Countable<T> {
  field: string;
  title: string;
  /** What a filter finds the row by; none where it has none. */
  valuesOf: (row: T) => (string | null)[];
  words?: (value: string) => string;
  /** How values follow each other that are as frequent; by themselves where it says nothing. */
  order?: readonly string[];
}

interface Field extends Countable<CallRow> {
  /** Whose timeline it would say the same of in each row. */
  whose?: EntityKind;
}

const FIELDS: Field[] = [
  {
    field: 'status',
    title: 'Status',
    valuesOf: ({ status }) => [`${Math.floor(status / 100)}00..${Math.floor(status / 100)}99`],
    words: (value) => `${value.charAt(0)}xx`,
  },
  { field: 'method', title: 'Method', valuesOf: ({ method }) => [method] },
  { field: 'endpoint', title: 'Endpoint', valuesOf: ({ endpoint_id }) => [endpoint_id] },
  {
    field: 'consumer',
    title: 'Consumer',
    whose: 'consumer',
    valuesOf: ({ consumer_id, consumer_name }) => [consumer_name ?? consumer_id],
  },
  { field: 'ip', title: 'Address', whose: 'ip', valuesOf: ({ client_ip }) => [client_ip] },
  { field: 'network', title: 'Network', valuesOf: ({ network_class }) => [network_class] },
  { field: 'country', title: 'Country', valuesOf: ({ country }) => [country] },
];

/** How many values of a field are listed. */
const VALUES_MAX = 5;

export function facetsOf(rows: CallRow[], whose?: EntityKind): Facet[] {
  return facetsBy(
    FIELDS.filter((field) => whose === undefined || field.whose !== whose),
    rows,
    term,
  );
}

/** Those that have values, in this order. */
export function facetsBy<T>(
  fields: Countable<T>[],
  rows: T[],
  termOf: (field: string, value: string) => string,
): Facet[] {
  return fields.map((field) => facetOf(field, rows, termOf)).filter(({ values }) => values.length > 0);
}

function facetOf<T>(
  { field, title, valuesOf, words, order = [] }: Countable<T>,
  rows: T[],
  termOf: (field: string, value: string) => string,
): Facet {
  const counts = new Map<string, number>();
  for (const row of rows) {
    for (const value of valuesOf(row)) if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  // Those that are as frequent have one order, whichever comes first.
  const place = (value: string) => order.indexOf(value);
  const sorted = [...counts].sort(
    ([one, few], [other, many]) => many - few || place(one) - place(other) || (one < other ? -1 : 1),
  );
  const values = sorted
    .slice(0, VALUES_MAX)
    .map(([value, counted]) => ({ term: termOf(field, value), words: words?.(value) ?? value, count: counted }));
  return { field, title, values, areAsWritten: words === undefined, others: sorted.length - values.length };
}
