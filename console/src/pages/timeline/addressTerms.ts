// Filters that are parts of the address, and what a value that is counted adds to it.
/** A part of the address. */
export function termOf(field: string, value: string): string {
  return new URLSearchParams({ [field]: value }).toString();
}

function partOf(term: string): [string, string] {
  return [...new URLSearchParams(term)][0] ?? ['', ''];
}

export function isTaken(query: URLSearchParams, term: string): boolean {
  const [field, value] = partOf(term);
  return query.get(field) === value;
}

/** The address with that part, or without it where it has that. */
export function toggled(query: URLSearchParams, term: string): string {
  const [field, value] = partOf(term);
  const after = new URLSearchParams(query);
  if (query.get(field) === value) after.delete(field);
  else after.set(field, value);
  return after.toString();
}
