// The heads of a table. Where columns can be resized their right edges are dragged: ← and → do the same, a double click or Enter
// gives a column its own width back. All edges together are one stop of Tab: ↑ and ↓ go from one to the next.
import { type KeyboardEvent, type PointerEvent, type RefObject, useId, useLayoutEffect, useRef, useState } from 'react';

import type { Column } from './DataTable';
import { resized, type Sizing, WIDTH_MAX, WIDTH_MIN, without } from './widths';

/** How far an arrow key goes. */
const STEP = 16;

interface Props<T> {
  columns: Column<T>[];
  frame?: RefObject<HTMLDivElement | null>;
  sizing?: Sizing;
}

export function Heads<T>({ columns, frame, sizing }: Props<T>) {
  const id = useId();
  const own = useRef<HTMLDivElement>(null);
  const row = frame ?? own;
  const shown = useShownWidths(row, sizing ? columns.map((column) => column.id).join('\n') : undefined);
  const sizable = sizing ? columns.filter((column) => !column.isFixed) : [];
  // The handle that had the focus last, as long as its column is there.
  const [reached, setReached] = useState<string>();
  const stop = sizable.find((column) => column.id === reached) ?? sizable[0];
  const walk = (event: KeyboardEvent) => {
    const handles = Array.from(row.current?.querySelectorAll<HTMLElement>('.head-handle') ?? []);
    const at = handles.indexOf(event.target as HTMLElement);
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: handles.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    handles[to]?.focus();
  };
  return (
    <div className="table-head" role="row" ref={row} onKeyDown={sizing && walk}>
      {columns.map((column, index) => {
        const words = `${id}-${index}`;
        return (
          <div
            key={column.id}
            role="columnheader"
            className={column.isNumber ? 'end' : undefined}
            // Without what the handle is called.
            aria-labelledby={sizing && words}
          >
            <div className="head-words" id={words}>
              {column.head}
            </div>
            {sizing && !column.isFixed && (
              <Handle
                words={words}
                width={shown[index] ?? WIDTH_MIN}
                isStop={column === stop}
                reach={() => setReached(column.id)}
                resize={(width, isFinal) =>
                  sizing.change(resized(sizing.widths, columns, shown, column.id, width), isFinal)
                }
                reset={() => sizing.change(without(sizing.widths, column.id), true)}
              />
            )}
          </div>
        );
      })}
    </div>
  );
}

/** How wide each head is on the screen; none where nobody has to know. `names` changes with the columns. */
function useShownWidths(row: RefObject<HTMLDivElement | null>, names: string | undefined): number[] {
  const [shown, setShown] = useState<number[]>([]);
  useLayoutEffect(() => {
    const heads = row.current;
    if (!heads || names === undefined) return undefined;
    const look = () => {
      const now = Array.from(heads.children, (head) => Math.round(head.getBoundingClientRect().width));
      setShown((before) => (before.join() === now.join() ? before : now));
    };
    const observer = new ResizeObserver(look);
    for (const head of heads.children) observer.observe(head);
    return () => observer.disconnect();
  }, [row, names]);
  return shown;
}

interface HandleProps {
  /** The element that says what the column is called. */
  words: string;
  width: number;
  /** Tab comes to it. */
  isStop: boolean;
  reach: () => void;
  resize: (width: number, isFinal: boolean) => void;
  reset: () => void;
}

function Handle({ words, width, isStop, reach, resize, reset }: HandleProps) {
  const id = useId();
  const drag = useRef<{ x: number; from: number; to?: number }>(undefined);
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    drag.current = { x: event.clientX, from: width };
  };
  const move = ({ clientX }: PointerEvent) => {
    if (!drag.current || (drag.current.to === undefined && clientX === drag.current.x)) return;
    drag.current.to = drag.current.from + clientX - drag.current.x;
    resize(drag.current.to, false);
  };
  const end = () => {
    if (drag.current?.to !== undefined) resize(drag.current.to, true);
    drag.current = undefined;
  };
  const press = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
    if (step === undefined && event.key !== 'Enter') return;
    event.preventDefault();
    if (step === undefined) reset();
    else resize(width + step, true);
  };
  return (
    <div
      id={id}
      className="head-handle"
      role="separator"
      aria-orientation="vertical"
      aria-label="Width of"
      aria-labelledby={`${id} ${words}`}
      aria-valuenow={width}
      aria-valuemin={WIDTH_MIN}
      aria-valuemax={WIDTH_MAX}
      aria-valuetext={`${width} pixels`}
      title="Drag, or use ← and →. A double click or Enter gives its own width back. ↑ and ↓ go to other columns."
      tabIndex={isStop ? 0 : -1}
      onFocus={reach}
      onPointerDown={down}
      onPointerMove={move}
      onLostPointerCapture={end}
      onDoubleClick={reset}
      onKeyDown={press}
    />
  );
}
