// How wide the columns of tables are that somebody has dragged: kept in the browser, for each table by its name.
import { useState } from 'react';

interface Width {
  px: number;
  /** The column that was dragged when this one had to stay where it is. */
  because?: string;
}

/** By the id of the column: names in statements are whatever somebody writes. One that is not here has its own width. */
export type Widths = ReadonlyMap<string, Width>;
export const OWN_WIDTHS: Widths = new Map();

/** A table's widths, and how they change: while somebody drags, and for good. */
export interface Sizing {
  widths: Widths;
  change: (next: Widths, isFinal: boolean) => void;
}

export const WIDTH_MIN = 40;
export const WIDTH_MAX = 2000;
/** More columns than these are not kept. */
const KEPT_MAX = 100;
/** A column that takes what is left keeps this much, where others were made wider. */
const FLEXIBLE_MIN = 64;

interface Sized {
  id: string;
  width: string;
}

/** The widths after one column was made so wide. Columns before it stay as they are on the screen, so that its edge follows the hand. */
export function resized(widths: Widths, columns: Sized[], shown: number[], id: string, width: number): Widths {
  const at = columns.findIndex((column) => column.id === id);
  if (at < 0) return widths;
  const next = new Map(widths);
  for (const [index, column] of columns.slice(0, at).entries()) {
    if (column.width.includes('fr') && !next.has(column.id))
      next.set(column.id, { px: clamped(shown[index] ?? WIDTH_MIN), because: id });
  }
  return next.set(id, { px: clamped(width) });
}

/** The column has its own width again, and so have those that stayed where they were because of it. */
export function without(widths: Widths, id: string): Widths {
  return new Map([...widths].filter(([known, { because }]) => known !== id && because !== id));
}

/** The tracks of the grid. They are as the columns say until somebody changes one. */
export function tracksOf(columns: Sized[], widths: Widths = OWN_WIDTHS): string {
  const isChanged = columns.some(({ id }) => widths.has(id));
  return columns
    .map(({ id, width }) => {
      const changed = widths.get(id);
      if (changed) return `${changed.px}px`;
      return isChanged ? width.replace('minmax(0,', `minmax(${FLEXIBLE_MIN}px,`) : width;
    })
    .join(' ');
}

function clamped(width: number): number {
  return Math.round(Math.min(Math.max(width, WIDTH_MIN), WIDTH_MAX));
}

const place = (table: string) => `outrider widths ${table}`;

/** A list of `[id, px, because]`. */
function toKept(widths: Widths): unknown[] {
  return Array.from(widths, ([id, { px, because }]) => (because === undefined ? [id, px] : [id, px, because]));
}

function fromKept(kept: unknown): [string, Width][] {
  if (!Array.isArray(kept)) return [];
  return kept.flatMap((one: unknown): [string, Width][] => {
    if (!Array.isArray(one)) return [];
    const [id, px, because] = one as unknown[];
    if (typeof id !== 'string' || typeof px !== 'number' || !Number.isFinite(px)) return [];
    return [[id, { px: clamped(px), because: typeof because === 'string' ? because : undefined }]];
  });
}

/** What the browser has kept; nothing where it keeps nothing, or where somebody else wrote there. */
function keptWidths(table: string): Widths {
  try {
    return new Map(fromKept(JSON.parse(localStorage.getItem(place(table)) ?? '[]')).slice(-KEPT_MAX));
  } catch {
    return OWN_WIDTHS;
  }
}

function keep(table: string, widths: Widths): void {
  try {
    const kept = toKept(widths).slice(-KEPT_MAX);
    if (kept.length === 0) localStorage.removeItem(place(table));
    else localStorage.setItem(place(table), JSON.stringify(kept));
  } catch {
    // A browser that keeps nothing shows the widths all the same, until the page is left.
  }
}

/** Shown at once, and kept where that is final. */
export function useKeptWidths(table: string): Sizing {
  const [widths, setWidths] = useState(() => keptWidths(table));
  const change = (next: Widths, isFinal: boolean) => {
    setWidths(next);
    if (isFinal) keep(table, next);
  };
  return { widths, change };
}
