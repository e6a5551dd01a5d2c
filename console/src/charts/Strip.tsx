// Calls in time as a strip of bars, with what happened marked: alerts above, actions and gaps over the whole height.
// Dragging chooses a range; the wheel and the keys + - ← → change it.
import { type KeyboardEvent, memo, type PointerEvent, useEffect, useId, useMemo, useRef, useState } from 'react';
import { Link } from 'react-router';

import { length, local, short, utc } from '../parts/words';
import { barsOf, mostOf, ofPart, PARTS, sidesOf, type Step } from './bars';
import { labelled, LEFT, type Range, roundUp, stepAt, zoomed } from './scale';
import { useWidth } from './useWidth';

export type { Step };

export interface Mark {
  id: string;
  at: number;
  words: string;
  looks: string;
  to: string;
}

/** Something that lasted: a block, time from which calls may be missing, or of which none are kept. */
export interface Stretch {
  id: string;
  since: number;
  until: number;
  words: string;
  kind: 'action' | 'gap' | 'not_kept';
}

interface Props {
  range: Range;
  stepMs: number;
  steps: Step[];
  marks?: Mark[];
  stretches?: Stretch[];
  height?: number;
  /** Calls of the tallest step among strips that are compared; its own without. */
  most?: number;
  label: string;
  /** Another range, and whether the next one may follow at once, as with a wheel. */
  onRange?: (range: Range, isTurning: boolean) => void;
  /** The moment that is pointed at, where other charts have it, too. */
  cursor?: number;
  onCursor?: (at: number | undefined) => void;
}

const [TOP, AXIS] = [22, 18];
/** Room for a moment in UTC. */
const HOVER_WIDTH = 194;
const COLOURS = {
  ok: 'var(--calls)',
  client_errors: 'var(--client-errors)',
  server_errors: 'var(--server-errors)',
  refused: 'var(--refused)',
};

const OPACITIES: Record<Stretch['kind'], number> = { action: 0.16, gap: 0.8, not_kept: 0.14 };

export function Strip(props: Props) {
  const { range, stepMs, steps, marks = [], stretches = [], height = 140, label, onRange, cursor, onCursor } = props;
  const { most: tallest = mostOf(steps) } = props;
  const [frame, width] = useWidth();
  // Several strips may be on a page, and the one with the pattern that another one uses may go.
  const hatching = useId();
  const fills = { action: 'var(--refused)', gap: `url(#${hatching})`, not_kept: 'var(--faint)' };
  const [drag, setDrag] = useState<[number, number]>();
  const [pointed, setPointed] = useState<number>();
  const at = onCursor ? cursor : pointed;
  const pointAt = onCursor ?? setPointed;
  const { since, until } = range;
  const inner = Math.max(width - LEFT, 10);
  const bottom = height - AXIS;
  const x = (at: number) => LEFT + ((at - since) / (until - since)) * inner;
  const time = (px: number) => since + ((px - LEFT) / inner) * (until - since);
  const most = roundUp(tallest);
  const y = (calls: number) => (calls / most) * (bottom - TOP);
  const starts = useMemo(() => steps.map((step) => step.start_ms), [steps]);
  const hover = at === undefined ? undefined : steps[stepAt(starts, stepMs, at)];
  const over = hover && sidesOf(hover, { left: LEFT, right: width, bottom, x, y, stepMs });

  useWheel(frame, onRange && ((factor, px) => onRange(zoomed(range, factor, time(px)), true)));
  const place = (event: PointerEvent) => event.clientX - event.currentTarget.getBoundingClientRect().left;
  const down = (event: PointerEvent) => {
    if (!onRange || event.button !== 0 || (event.target as Element).closest('a')) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const px = place(event);
    setDrag([px, px]);
  };
  const point = (event: PointerEvent) => {
    const px = place(event);
    if (drag) setDrag([drag[0], px]);
    const moment = time(px);
    pointAt(moment >= since && moment <= until ? moment : undefined);
  };
  const up = () => {
    if (drag && onRange && Math.abs(drag[1] - drag[0]) > 6) {
      const [from, to] = [Math.min(...drag), Math.max(...drag)];
      onRange({ since: Math.round(Math.max(time(from), since)), until: Math.round(Math.min(time(to), until)) }, false);
    }
    setDrag(undefined);
  };
  const press = (event: KeyboardEvent) => {
    if (!onRange) return;
    const shift = (until - since) / 4;
    const ranges: Record<string, Range> = {
      '+': zoomed(range, 0.5),
      '=': zoomed(range, 0.5),
      '-': zoomed(range, 2),
      ArrowLeft: { since: since - shift, until: until - shift },
      ArrowRight: { since: since + shift, until: until + shift },
    };
    const next = ranges[event.key];
    if (!next) return;
    event.preventDefault();
    onRange({ since: Math.round(next.since), until: Math.round(next.until) }, true);
  };
  const words = `${label}: ${short(steps.reduce((sum, step) => sum + step.calls, 0))} calls from ${local(since)} to ${local(until)}`;
  return (
    <div className="strip" ref={frame} style={{ height }}>
      <svg
        width={width}
        height={height}
        role={onRange ? 'application' : marks.length > 0 ? 'group' : 'img'}
        aria-label={onRange ? `${words}. Plus and minus zoom, arrows move.` : words}
        tabIndex={onRange ? 0 : undefined}
        onKeyDown={press}
        onPointerDown={down}
        onPointerMove={point}
        onPointerUp={up}
        onPointerLeave={() => pointAt(undefined)}
        className={onRange ? 'strip-zoom' : undefined}
      >
        <defs>
          <pattern id={hatching} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect width="2" height="6" fill="var(--warn)" opacity="0.5" />
          </pattern>
        </defs>
        <line x1={LEFT} x2={width} y1={TOP} y2={TOP} className="strip-grid" />
        <line x1={LEFT} x2={width} y1={(TOP + bottom) / 2} y2={(TOP + bottom) / 2} className="strip-grid" />
        <line x1={LEFT} x2={width} y1={bottom} y2={bottom} className="strip-base" />
        <text x={LEFT - 6} y={TOP + 4} className="strip-text" textAnchor="end">
          {short(most)}
        </text>
        <text x={LEFT - 6} y={bottom} className="strip-text" textAnchor="end">
          0
        </text>
        {steps.length > 0 && (
          <text x={LEFT} y={12} className="strip-text">
            calls in {length(stepMs)}
          </text>
        )}
        {labelled(range, width).map(([tick, words]) => (
          <text key={tick} x={x(tick)} y={height - 4} className="strip-text" textAnchor="middle">
            {words}
          </text>
        ))}
        {stretches.map((stretch) => {
          const [from, to] = [Math.max(x(stretch.since), LEFT), Math.min(x(stretch.until), width)];
          if (to < LEFT || from > width) return null;
          return (
            <rect
              key={stretch.id}
              x={from}
              width={Math.max(to - from, 2)}
              y={TOP}
              height={bottom - TOP}
              fill={fills[stretch.kind]}
              opacity={OPACITIES[stretch.kind]}
            >
              <title>{stretch.words}</title>
            </rect>
          );
        })}
        {over && <rect x={over[0]} width={over[1] - over[0]} y={TOP} height={bottom - TOP} className="strip-over" />}
        <Bars since={since} until={until} stepMs={stepMs} steps={steps} most={most} width={width} bottom={bottom} />
        {onCursor && at !== undefined && <line x1={x(at)} x2={x(at)} y1={TOP} y2={bottom} className="strip-cursor" />}
        {drag && (
          <rect
            x={Math.min(...drag)}
            width={Math.abs(drag[1] - drag[0])}
            y={TOP}
            height={bottom - TOP}
            className="strip-chosen"
          />
        )}
        {marks
          .filter((mark) => mark.at >= since && mark.at <= until)
          .map((mark) => (
            <g key={mark.id}>
              <line
                x1={x(mark.at)}
                x2={x(mark.at)}
                y1={14}
                y2={bottom}
                stroke={`var(--${mark.looks})`}
                strokeDasharray="2 3"
              />
              <Link to={mark.to} aria-label={mark.words}>
                <path d={`M ${x(mark.at)} 2 l 6 6 l -6 6 l -6 -6 z`} fill={`var(--${mark.looks})`}>
                  <title>{mark.words}</title>
                </path>
              </Link>
            </g>
          ))}
      </svg>
      {hover && !drag && <Hovered step={hover} stepMs={stepMs} x={Math.min(x(at!), width - HOVER_WIDTH - 12)} />}
    </div>
  );
}

interface BarsProps {
  since: number;
  until: number;
  stepMs: number;
  steps: Step[];
  most: number;
  width: number;
  bottom: number;
}

/** They stay as they are while the pointer moves over them. */
const Bars = memo(function Bars({ since, until, stepMs, steps, most, width, bottom }: BarsProps) {
  const inner = Math.max(width - LEFT, 10);
  const paths = barsOf(steps, {
    left: LEFT,
    right: width,
    bottom,
    stepMs,
    x: (at) => LEFT + ((at - since) / (until - since)) * inner,
    y: (calls) => (calls / most) * (bottom - TOP),
  });
  return PARTS.map((part) => paths[part] && <path key={part} d={paths[part]} fill={COLOURS[part]} />);
});

function Hovered({ step, stepMs, x }: { step: Step; stepMs: number; x: number }) {
  const rows: [string, number, string][] = [
    ['Answered', ofPart(step, 'ok'), COLOURS.ok],
    ['4xx', step.client_errors, COLOURS.client_errors],
    ['5xx', step.server_errors, COLOURS.server_errors],
    ['Refused by outrider', step.refused, COLOURS.refused],
  ];
  return (
    <div className="strip-hover" style={{ left: x + 12, width: HOVER_WIDTH }}>
      <div className="faint number">
        {local(step.start_ms)} – {local(step.start_ms + stepMs)}
      </div>
      {/* The pointer is on the strip and cannot be on this, so that a title would never be seen. */}
      <div className="faint number">{utc(step.start_ms)}</div>
      {rows
        .filter(([, number]) => number > 0)
        .map(([name, number, colour]) => (
          <div key={name} className="row">
            <span className="strip-key" style={{ background: colour }} />
            <span className="spread">{name}</span>
            <span className="number">{short(number)}</span>
          </div>
        ))}
    </div>
  );
}

/** What the colours mean. */
export function StripKeys() {
  const keys: [string, string][] = [
    ['answered', COLOURS.ok],
    ['4xx', COLOURS.client_errors],
    ['5xx', COLOURS.server_errors],
    ['refused by outrider', COLOURS.refused],
  ];
  return (
    <div className="row strip-keys faint">
      {keys.map(([name, colour]) => (
        <span key={name} className="row">
          <span className="strip-key" style={{ background: colour }} />
          {name}
        </span>
      ))}
    </div>
  );
}

function useWheel(
  frame: React.RefObject<HTMLDivElement | null>,
  zoom: ((factor: number, px: number) => void) | undefined,
) {
  const latest = useRef(zoom);
  useEffect(() => {
    latest.current = zoom;
  });
  useEffect(() => {
    const element = frame.current;
    if (!element) return undefined;
    const turn = (event: WheelEvent) => {
      if (!latest.current || event.deltaY === 0) return;
      event.preventDefault();
      latest.current(event.deltaY > 0 ? 1.25 : 0.8, event.clientX - element.getBoundingClientRect().left);
    };
    // React's own listeners are passive; this one keeps the page from scrolling.
    element.addEventListener('wheel', turn, { passive: false });
    return () => element.removeEventListener('wheel', turn);
  }, [frame]);
}
