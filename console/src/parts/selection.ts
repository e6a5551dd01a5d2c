// Which rows of a table are chosen, by their keys.

export type Chosen = ReadonlySet<string>;
export const NONE: Chosen = new Set();

export function toggled(chosen: Chosen, key: string): Chosen {
  const next = new Set(chosen);
  if (!next.delete(key)) next.add(key);
  return next;
}

/** With every row from one to the other, whichever comes first; with the second alone, where the first is gone. */
export function withRange(chosen: Chosen, keys: string[], from: string | undefined, to: string): Chosen {
  const end = keys.indexOf(to);
  const begin = from === undefined ? -1 : keys.indexOf(from);
  const range = begin < 0 ? [to] : keys.slice(Math.min(begin, end), Math.max(begin, end) + 1);
  return new Set([...chosen, ...range]);
}
