// What stays where it is under the pointer and the keys: rows change in place, and others come when both are gone.
import { type FocusEvent, type PointerEvent, useState } from 'react';

/** Whether the pointer or the keys are in an element, which has to have what is `around` it. */
export function useIsIn() {
  const [isIn, setIn] = useState(false);
  const enter = () => setIn(true);
  const leave = (event: PointerEvent) => {
    if (!event.currentTarget.contains(document.activeElement)) setIn(false);
  };
  const blur = (event: FocusEvent) => {
    const isInside = event.currentTarget.contains(event.relatedTarget) || event.currentTarget.matches(':hover');
    if (!isInside) setIn(false);
  };
  return { isIn, around: { onPointerEnter: enter, onPointerLeave: leave, onFocus: enter, onBlur: blur } };
}

interface Steady<T> {
  shown: T[];
  /** How many of the first rows are not shown. */
  fresh: number;
  /** Shows the first rows as they are now. */
  renew: () => void;
}

/**
 * The first rows; while they are held those that were the first when that began, each as it is now. Where there is none yet, none
 * can move.
 */
export function useSteady<T>(rows: T[], keyOf: (row: T) => string, isHeld: boolean, most = rows.length): Steady<T> {
  const [held, setHeld] = useState<T[]>();
  const first = rows.slice(0, most);
  if (isHeld && held === undefined && first.length > 0) setHeld(first);
  if (!isHeld && held !== undefined) setHeld(undefined);
  const now = new Map(rows.map((row) => [keyOf(row), row]));
  const shown = isHeld && held !== undefined ? held.map((row) => now.get(keyOf(row)) ?? row) : first;
  const isShown = new Set(shown.map(keyOf));
  const fresh = first.filter((row) => !isShown.has(keyOf(row))).length;
  return { shown, fresh, renew: () => setHeld(first) };
}
