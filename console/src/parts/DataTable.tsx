// A table of any length: only the rows that are in view are in the document. Arrow keys, j and k move; Enter opens. Where rows can be
// chosen, x chooses, Shift with any of these a range, Ctrl A all that are loaded, Escape none. Columns can be resized.
import { Button } from '@mantine/core';
import { useMediaQuery } from '@mantine/hooks';
import { useVirtualizer } from '@tanstack/react-virtual';
import {
  type CSSProperties,
  type Key,
  type KeyboardEvent,
  memo,
  type MouseEvent as ReactMouseEvent,
  type ReactNode,
  type RefObject,
  useCallback,
  useEffect,
  useEffectEvent,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';

import { Trouble } from './basics';
import { Heads } from './Heads';
import { type Chosen, NONE, toggled, withRange } from './selection';
import { type Sizing, tracksOf, useKeptWidths } from './widths';

export interface Column<T> {
  id: string;
  head: ReactNode;
  /** A track of the grid, such as `120px` or `minmax(0, 2fr)`. */
  width: string;
  cell: (row: T) => ReactNode;
  isNumber?: boolean;
  /** It cannot be resized. */
  isFixed?: boolean;
  /** It is left out of a narrow window: what it says is elsewhere, too. */
  needsRoom?: boolean;
  /** Where columns can be chosen: it is shown only if it is. */
  isExtra?: boolean;
  /** Where columns can be chosen: it is always shown. */
  isNeeded?: boolean;
}

interface Selection<T> {
  chosen: Chosen;
  choose: (chosen: Chosen) => void;
  nameOf: (row: T) => string;
}

interface Props<T> {
  /** What it is called; the widths of its columns are kept under that name. */
  label: string;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  rowHeight?: number;
  onOpen?: (row: T) => void;
  /** The key of the row that is open. It comes into view, and whoever shows it has the keys that go from row to row. */
  opened?: string;
  /** Asked for when the end of the rows comes into view. */
  onEnd?: () => void;
  isLoading?: boolean;
  /** Rows that came since, and are not shown yet. */
  fresh?: number;
  /** There are more of them than that. */
  hasMoreFresh?: boolean;
  onFresh?: () => void;
  /** New rows are shown by themselves while the first row is in view, and the pointer and the keys are elsewhere. */
  isFollowing?: boolean;
  /** For rows that can be chosen. */
  selection?: Selection<T>;
  /** The widths of its columns, where the browser is not to keep them. */
  sizing?: Sizing;
  empty: ReactNode;
  /** Said below, where all rows are few: what one may do next. */
  few?: ReactNode;
  /** Why the following rows are not here; it stands in their place. */
  trouble?: ReactNode;
}

interface Paged<T> {
  rows: T[];
  onEnd: () => void;
  isPending: boolean;
  error: unknown;
  refetch: () => Promise<unknown>;
  /** The error is that of a following page. */
  isFetchNextPageError?: boolean;
  /** Asks for the following page again. */
  readOn?: () => Promise<unknown>;
}

/** A table of rows that come in pages. What went wrong stands where rows would be: those that are loaded stay. */
export function PagedTable<T>({
  pages,
  ...table
}: { pages: Paged<T> } & Omit<Props<T>, 'rows' | 'onEnd' | 'isLoading' | 'trouble'>) {
  const { rows, onEnd, isPending, error, refetch, isFetchNextPageError, readOn } = pages;
  const trouble = error ? (
    <Trouble error={error} again={() => void (isFetchNextPageError && readOn ? readOn() : refetch())} />
  ) : undefined;
  if (trouble && rows.length === 0) return <div style={{ padding: 24 }}>{trouble}</div>;
  return <DataTable rows={rows} onEnd={onEnd} isLoading={isPending} trouble={trouble} {...table} />;
}

export function DataTable<T>(props: Props<T>) {
  const {
    label,
    rows,
    rowKey,
    rowHeight = 36,
    onOpen,
    opened,
    onEnd,
    isLoading,
    fresh = 0,
    hasMoreFresh,
    onFresh,
    isFollowing,
    selection,
    empty,
    few,
    trouble,
  } = props;
  const scroll = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(opened);
  const [known, setKnown] = useState(opened);
  // The keys go on from the row that was opened.
  if (known !== opened) {
    setKnown(opened);
    if (opened !== undefined) setActive(opened);
  }
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
  useEffect(() => {
    if (onEnd && rows.length > 0 && last >= rows.length - 5) onEnd();
  }, [last, rows.length, onEnd]);

  const openedAt = useMemo(
    () => (opened === undefined ? -1 : rows.findIndex((row) => rowKey(row) === opened)),
    [opened, rows, rowKey],
  );
  const reveal = useEffectEvent(() => virtual.scrollToIndex(openedAt));
  const isOpenHere = openedAt >= 0;
  useEffect(() => {
    if (isOpenHere) reveal();
  }, [opened, isOpenHere]);

  // Before anything is drawn, so that what is shown at once is not announced first. Where there is nothing yet, nothing can move.
  const isEmpty = rows.length === 0 && !isLoading;
  useLayoutEffect(() => {
    if (fresh === 0 || !onFresh) return;
    const element = scroll.current;
    const isAtRest =
      element !== null &&
      element.scrollTop < 4 &&
      !element.matches(':hover') &&
      element.querySelector(':focus-visible') === null;
    if (isEmpty || (isFollowing && isAtRest)) onFresh();
  }, [isEmpty, isFollowing, fresh, onFresh]);

  // The row that was chosen last, from which a range goes on.
  const anchor = useRef<string>(undefined);
  const pick = useCallback(
    (key: string, isRange: boolean) => {
      if (!selection) return;
      setActive(key);
      const { chosen, choose } = selection;
      choose(isRange ? withRange(chosen, rows.map(rowKey), anchor.current, key) : toggled(chosen, key));
      if (!isRange || anchor.current === undefined) anchor.current = key;
    },
    [selection, rows, rowKey],
  );
  // Known before anything is drawn, so that nothing moves.
  const isNarrow = useMediaQuery(NARROW, undefined, { getInitialValueInEffect: false });
  const shown = useMemo(
    () => (isNarrow ? props.columns.filter((column) => !column.needsRoom) : props.columns),
    [isNarrow, props.columns],
  );
  // The same ones while nothing but the widths changes: rows are drawn again with other columns.
  const columns = useMemo(
    () => (selection ? [choiceColumn(selection, rows, rowKey, pick, setActive), ...shown] : shown),
    [selection, rows, rowKey, pick, shown],
  );
  const kept = useKeptWidths(label);
  const sizing = props.sizing ?? kept;
  const tracks = tracksOf(columns, sizing.widths);
  // Columns stay under their heads where the rows have a scrollbar beside them, and where they are scrolled sideways.
  const heads = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLDivElement>(null);
  const isLong = virtual.getTotalSize() > (virtual.scrollRect?.height ?? Infinity);
  useLayoutEffect(() => {
    const beside = scroll.current ? scroll.current.offsetWidth - scroll.current.clientWidth : 0;
    if (head.current) head.current.style.borderRightWidth = `${beside}px`;
  }, [isLong, tracks]);
  const align = (one: RefObject<HTMLDivElement | null>, other: RefObject<HTMLDivElement | null>) => {
    if (one.current && other.current) other.current.scrollLeft = one.current.scrollLeft;
  };
  const move = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget && !isChoice(event.target)) return;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key !== 'a' || event.altKey || !selection) return;
      event.preventDefault();
      selection.choose(new Set(rows.map(rowKey)));
      return;
    }
    const at = rows.findIndex((row) => rowKey(row) === active);
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[key];
    if (step !== undefined && isOpenHere) return;
    if (step !== undefined) {
      event.preventDefault();
      const next = Math.min(Math.max(at + step, 0), rows.length - 1);
      if (rows[next] === undefined) return;
      if (event.shiftKey && selection)
        selection.choose(withRange(selection.chosen, rows.map(rowKey), active, rowKey(rows[next])));
      setActive(rowKey(rows[next]));
      virtual.scrollToIndex(next);
    } else if (event.key === 'Enter' && onOpen && rows[at] !== undefined) {
      onOpen(rows[at]);
    } else if (key === 'x' && rows[at] !== undefined) {
      pick(rowKey(rows[at]), event.shiftKey);
    } else if (key === 'Escape') {
      anchor.current = undefined;
      selection?.choose(NONE);
    }
  };

  // "Try again" goes away with what it is about, and would take the focus along.
  const goOnInRows = ({ target }: ReactMouseEvent) => {
    if (target instanceof HTMLButtonElement) scroll.current?.focus({ preventScroll: true });
  };

  if (isEmpty) return <>{empty}</>;
  return (
    <div className="table-frame">
      {fresh > 0 && onFresh && (
        <div className="fresh">
          <Button size="compact-sm" radius="xl" onClick={onFresh}>
            Show {fresh}
            {hasMoreFresh && '+'} new
          </Button>
        </div>
      )}
      <div className="table" role="table" aria-label={label} aria-rowcount={rows.length} style={styleOf(tracks)}>
        {/* A handle that takes the focus comes into view, and the rows with it. */}
        <div role="rowgroup" className="table-heads" ref={heads} onScroll={() => align(heads, scroll)}>
          <Heads columns={columns} frame={head} sizing={sizing} />
        </div>
        <div
          className="table-scroll"
          ref={scroll}
          tabIndex={0}
          onKeyDown={move}
          onScroll={() => align(scroll, heads)}
          role="rowgroup"
          aria-label={`${label}: rows`}
        >
          {rows.length === 0 && isLoading ? (
            <WaitingRows />
          ) : (
            <div
              className={selection && selection.chosen.size > 0 ? 'table-rows has-chosen' : 'table-rows'}
              style={{ height: virtual.getTotalSize() }}
            >
              {items.map((item) => {
                const row = rows[item.index]!;
                const key = rowKey(row);
                return (
                  <Row
                    // Rows that run past are drawn into the same places; others keep what is theirs, such as an open dialog.
                    key={isFollowing ? item.index : key}
                    row={row}
                    index={item.index}
                    columns={columns}
                    top={item.start}
                    height={rowHeight}
                    looks={`${key === active ? ' active' : ''}${selection?.chosen.has(key) ? ' chosen' : ''}`}
                  />
                );
              })}
            </div>
          )}
          {trouble && (
            <div role="row" className="table-few" onClick={goOnInRows}>
              <div role="cell">{trouble}</div>
            </div>
          )}
          {few && !trouble && rows.length > 0 && rows.length <= FEW && (
            <div role="row" className="table-few">
              <div role="cell">{few}</div>
            </div>
          )}
        </div>
      </div>
    </div>
  );
}

/** A window in which not all has room; as in the style sheets. */
export const NARROW = '(max-width: 1100px)';
/** A list that is this short is all there is: pages are longer. */
const FEW = 8;

function isChoice(target: EventTarget): boolean {
  return target instanceof HTMLInputElement && target.type === 'checkbox';
}

/** A box in each row, and one for all of them. */
function choiceColumn<T>(
  { chosen, choose, nameOf }: Selection<T>,
  rows: T[],
  rowKey: (row: T) => string,
  pick: (key: string, isRange: boolean) => void,
  reach: (key: string) => void,
): Column<T> {
  const isAll = rows.length > 0 && rows.every((row) => chosen.has(rowKey(row)));
  return {
    id: 'choice',
    width: '16px',
    isFixed: true,
    head: (
      <input
        type="checkbox"
        aria-label="Choose all that are loaded"
        checked={isAll}
        ref={(box) => {
          if (box) box.indeterminate = chosen.size > 0 && !isAll;
        }}
        onChange={() => choose(isAll ? NONE : new Set(rows.map(rowKey)))}
      />
    ),
    cell: (row) => (
      <input
        type="checkbox"
        aria-label={`Choose ${nameOf(row)}`}
        checked={chosen.has(rowKey(row))}
        onFocus={() => reach(rowKey(row))}
        onChange={(event) => pick(rowKey(row), (event.nativeEvent as MouseEvent).shiftKey)}
      />
    ),
  };
}

interface RowProps<T> {
  row: T;
  index: number;
  columns: Column<T>[];
  top: number;
  height: number;
  looks: string;
}

/** Drawn again only when something of it has changed. */
const Row = memo(function Row<T>({ row, index, columns, top, height, looks }: RowProps<T>) {
  return (
    <div
      role="row"
      aria-rowindex={index + 1}
      className={`table-row floating${looks}`}
      style={{ height, transform: `translateY(${top}px)` }}
    >
      <Cells columns={columns} row={row} />
    </div>
  );
}) as <T>(props: RowProps<T> & { key: Key }) => ReactNode;

/** All rows have the same tracks: none is drawn again when these change. */
function styleOf(tracks: string): CSSProperties {
  return { '--tracks': tracks } as CSSProperties;
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
  return (
    <div role="table" aria-label={label} className="table" style={styleOf(tracksOf(columns))}>
      <div role="rowgroup">
        <Heads columns={columns} />
      </div>
      <div role="rowgroup">
        {rows.map((row) => (
          <div key={rowKey(row)} role="row" className="table-row" style={{ minHeight: 36 }}>
            <Cells columns={columns} row={row} />
          </div>
        ))}
      </div>
    </div>
  );
}
