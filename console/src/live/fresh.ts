// What the stream told of, and what of it is new to a list: each row once, however often it changed.

/** Rows as they were told of last, each under its id, those told of last at the end. */
export interface Told<T> {
  rows: ReadonlyMap<string, T>;
  /** There were more than are kept. */
  hasLost: boolean;
}

export const NOTHING: Told<never> = { rows: new Map<string, never>(), hasLost: false };

/** More than these are not kept. */
const TOLD_MAX = 500;

/** Under what the rows of a list are kept that the stream told of; without a list, those of all. */
export function toldKey(...list: [string] | []): string[] {
  return ['told', ...list];
}

export function note<T extends { id: string }>(told: Told<T> = NOTHING, row: T): Told<T> {
  const rows = new Map(told.rows);
  rows.delete(row.id);
  rows.set(row.id, row);
  const oldest = rows.size > TOLD_MAX ? rows.keys().next().value : undefined;
  if (oldest !== undefined) rows.delete(oldest);
  return { rows, hasLost: told.hasLost || oldest !== undefined };
}

/** What a list is sorted by, the highest first; rows with the same are sorted by their ids. */
export type Order<T> = (row: T) => number;

/**
 * The rows that would be in the list if it was read again, as far down as it is read, and are not. Below that they are no
 * news: they come when somebody goes on reading.
 */
export function newTo<T extends { id: string }>(
  rows: T[],
  hasNextPage: boolean,
  told: Told<T>,
  order: Order<T>,
  fits: (row: T) => boolean,
): T[] {
  if (told.rows.size === 0) return [];
  const known = new Set(rows.map((row) => row.id));
  const isAbove = (one: T, other: T) => order(one) > order(other) || (order(one) === order(other) && one.id > other.id);
  // The last row may have changed since, and would stand elsewhere now.
  const lowest = rows.reduce<T | undefined>(
    (low, row) => (low === undefined || isAbove(low, row) ? row : low),
    undefined,
  );
  return [...told.rows.values()].filter(
    (row) => !known.has(row.id) && fits(row) && (!hasNextPage || lowest === undefined || isAbove(row, lowest)),
  );
}
