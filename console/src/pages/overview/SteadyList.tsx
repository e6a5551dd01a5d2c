// A short list that stays as it is under the pointer and the focus: rows change in place, and new ones wait behind a button.
import { Button } from '@mantine/core';
import { Fragment, type ReactNode } from 'react';

import { useIsIn, useSteady } from '../../parts/steady';

interface Props<T> {
  /** In their order, the first to be shown first. */
  rows: T[];
  /** How many are shown. */
  most: number;
  empty: ReactNode;
  children: (row: T) => ReactNode;
}

export function SteadyList<T extends { id: string }>({ rows, most, empty, children }: Props<T>) {
  const { isIn, around } = useIsIn();
  const { shown, fresh, renew } = useSteady(rows, ({ id }) => id, isIn, most);
  return (
    <div className="steady" {...around}>
      {fresh > 0 && (
        <div className="fresh">
          <Button size="compact-sm" radius="xl" onClick={renew}>
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
