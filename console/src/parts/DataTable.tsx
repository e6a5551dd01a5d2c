// A table of any length: only the rows that are in view are in the document. Arrow keys, j and k move; Enter opens.
import { Button } from '@mantine/core';
import { useVirtualizer } from '@tanstack/react-virtual';
import {
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';

import { Trouble } from './basics';

export interface Column<T> {
  id: string;
  head: ReactNode;
  /** A track of the grid, such as `120px` or `minmax(0, 2fr)`. */
  width: string;
  cell: (row: T) => ReactNode;
  isNumber?: boolean;
}

interface Props<T> {
  label: string;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  rowHeight?: number;
  onOpen?: (row: T) => void;
  /** Asked for when the end of the rows comes into view. */
  onEnd?: () => void;
  isLoading?: boolean;
  /** Rows that came since, and are not shown yet. */
  fresh?: number;
  onFresh?: () => void;
  /** New rows are shown by themselves while the first row is in view and the pointer is elsewhere. */
  isFollowing?: boolean;
  empty: ReactNode;
}

interface Paged<T> {
  rows: T[];
  onEnd: () => void;
  isPending: boolean;
  error: unknown;
  refetch: () => Promise<unknown>;
}

/** A table of rows that come in pages, or what went wrong with them. */
export function PagedTable<T>({
  pages,
  ...table
}: { pages: Paged<T> } & Omit<Props<T>, 'rows' | 'onEnd' | 'isLoading'>) {
  if (pages.error) {
    return (
      <div style={{ padding: 24 }}>
        <Trouble error={pages.error} again={() => void pages.refetch()} />
      </div>
    );
  }
  return <DataTable rows={pages.rows} onEnd={pages.onEnd} isLoading={pages.isPending} {...table} />;
}

export function DataTable<T>(props: Props<T>) {
  const {
    label,
    rows,
    columns,
    rowKey,
    rowHeight = 36,
    onOpen,
    onEnd,
    isLoading,
    fresh = 0,
    onFresh,
    isFollowing,
    empty,
  } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState<string>();
  // The library's own functions are not stable; nothing here depends on that they are.
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroll.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    initialRect: { width: 1200, height: 800 },
  });
  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  // Columns stay under their heads where the rows have a scrollbar beside them.
  const head = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const beside = scroll.current ? scroll.current.offsetWidth - scroll.current.clientWidth : 0;
    if (head.current) head.current.style.borderRightWidth = `${beside}px`;
  });
  useEffect(() => {
    if (onEnd && rows.length > 0 && last >= rows.length - 5) onEnd();
  }, [last, rows.length, onEnd]);

  // Before anything is drawn, so that what is shown at once is not announced first. Where there is nothing yet, nothing can move.
  const isEmpty = rows.length === 0 && !isLoading;
  useLayoutEffect(() => {
    if (fresh === 0 || !onFresh) return;
    const element = scroll.current;
    const isAtRest = element !== null && element.scrollTop < 4 && !element.matches(':hover');
    if (isEmpty || (isFollowing && isAtRest)) onFresh();
  }, [isEmpty, isFollowing, fresh, onFresh]);

  const tracks = tracksOf(columns);
  const move = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const at = rows.findIndex((row) => rowKey(row) === active);
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const next = Math.min(Math.max(at + step, 0), rows.length - 1);
      if (rows[next] !== undefined) setActive(rowKey(rows[next]));
      virtual.scrollToIndex(next);
    } else if (event.key === 'Enter' && onOpen && rows[at] !== undefined) {
      onOpen(rows[at]);
    }
  };

  if (isEmpty) return <>{empty}</>;
  return (
    <div className="table-frame">
      {fresh > 0 && onFresh && (
        <div className="fresh">
          <Button size="compact-sm" radius="xl" onClick={onFresh}>
            Show {fresh} new
          </Button>
        </div>
      )}
      <div className="table" role="table" aria-label={label} aria-rowcount={rows.length}>
        <div role="rowgroup">
          <Heads columns={columns} tracks={tracks} frame={head} />
        </div>
        <div
          className="table-scroll"
          ref={scroll}
          tabIndex={0}
          onKeyDown={move}
          role="rowgroup"
          aria-label={`${label}: rows`}
        >
          {rows.length === 0 && isLoading ? (
            <WaitingRows />
          ) : (
            <div className="table-rows" style={{ height: virtual.getTotalSize() }}>
              {items.map((item) => {
                const row = rows[item.index]!;
                const key = rowKey(row);
                return (
                  <div
                    key={key}
                    role="row"
                    aria-rowindex={item.index + 1}
                    className={key === active ? 'table-row floating active' : 'table-row floating'}
                    style={{ ...tracks, height: rowHeight, transform: `translateY(${item.start}px)` }}
                  >
                    <Cells columns={columns} row={row} />
                  </div>
                );
              })}
            </div>
          )}
        </div>
      </div>
    </div>
  );
}

function tracksOf<T>(columns: Column<T>[]) {
  return { gridTemplateColumns: columns.map((column) => column.width).join(' ') };
}

function Heads<T>({
  columns,
  tracks,
  frame,
}: {
  columns: Column<T>[];
  tracks: ReturnType<typeof tracksOf>;
  frame?: RefObject<HTMLDivElement | null>;
}) {
  return (
    <div className="table-head" role="row" style={tracks} ref={frame}>
      {columns.map((column) => (
        <div key={column.id} role="columnheader" className={column.isNumber ? 'end' : undefined}>
          {column.head}
        </div>
      ))}
    </div>
  );
}

function Cells<T>({ columns, row }: { columns: Column<T>[]; row: T }) {
  return columns.map((column) => (
    <div key={column.id} role="cell" className={column.isNumber ? 'end number' : undefined}>
      {column.cell(row)}
    </div>
  ));
}

function WaitingRows() {
  return (
    <div style={{ padding: '12px 24px' }} className="stack" role="row">
      <div role="cell" className="stack" aria-label="Loading">
        {Array.from({ length: 8 }, (_, index) => (
          <div key={index} className="skeleton" style={{ width: `${90 - ((index * 23) % 45)}%` }} />
        ))}
      </div>
    </div>
  );
}

/** A short table inside of a panel, with all of its rows. */
export function SmallTable<T>({
  label,
  rows,
  columns,
  rowKey,
}: Pick<Props<T>, 'label' | 'rows' | 'columns' | 'rowKey'>) {
  const tracks = tracksOf(columns);
  return (
    <div role="table" aria-label={label} className="table">
      <div role="rowgroup">
        <Heads columns={columns} tracks={tracks} />
      </div>
      <div role="rowgroup">
        {rows.map((row) => (
          <div key={rowKey(row)} role="row" className="table-row" style={{ ...tracks, minHeight: 36 }}>
            <Cells columns={columns} row={row} />
          </div>
        ))}
      </div>
    </div>
  );
}
