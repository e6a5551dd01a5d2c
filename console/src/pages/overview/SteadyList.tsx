// A short list that stays as it is under the pointer and the focus: rows change in place, and new ones wait behind a button.
import { Button } from '@mantine/core';
import { type FocusEvent, Fragment, type PointerEvent, type ReactNode, useState } from 'react';

interface Props<T> {
  /** In their order, the first to be shown first. */
  rows: T[];
  /** How many are shown. */
  most: number;
  empty: ReactNode;
  children: (row: T) => ReactNode;
}

export function SteadyList<T extends { id: string }>({ rows, most, empty, children }: Props<T>) {
  const [held, setHeld] = useState<T[]>();
  const first = rows.slice(0, most);
  // Where there is nothing yet, nothing can move.
  const shown = held && held.length > 0 ? held.map((row) => rows.find(({ id }) => id === row.id) ?? row) : first;
  const fresh = first.filter((row) => !shown.some(({ id }) => id === row.id)).length;
  const hold = () => setHeld((before) => before ?? first);
  const leave = (event: PointerEvent) => {
    if (!event.currentTarget.contains(document.activeElement)) setHeld(undefined);
  };
  const blur = (event: FocusEvent) => {
    const isInside = event.currentTarget.contains(event.relatedTarget) || event.currentTarget.matches(':hover');
    if (!isInside) setHeld(undefined);
  };
  return (
    <div className="steady" onPointerEnter={hold} onPointerLeave={leave} onFocus={hold} onBlur={blur}>
      {fresh > 0 && (
        <div className="fresh">
          <Button size="compact-sm" radius="xl" onClick={() => setHeld(first)}>
            Show {fresh} new
          </Button>
        </div>
      )}
      {shown.length === 0 && empty}
      <ul className="plain">
        {shown.map((row) => (
          <Fragment key={row.id}>{children(row)}</Fragment>
        ))}
      </ul>
    </div>
  );
}
