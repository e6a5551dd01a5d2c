// Lines over time or over numbers, with a legend that says the values under the cursor.
import 'uplot/dist/uPlot.min.css';

import { useMantineColorScheme } from '@mantine/core';
import { type PointerEvent, useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';

import { figure, local, utc } from '../parts/words';
import { labelled, LEFT, type Range, stepAt } from './scale';
import { useWidth } from './useWidth';

interface Series {
  name: string;
  values: (number | null)[];
  /** The name of a colour's variable. */
  colour: string;
}

interface Props {
  /** Milliseconds, where it is over time. */
  times: number[];
  series: Series[];
  range?: Range;
  /** Values are of the time from each of `times` on, for so long, and drawn in its middle. */
  stepMs?: number;
  height: number;
  isTime?: boolean;
  /** The moment that is pointed at, where other charts have it, too; for a chart of steps. */
  cursor?: number;
  onCursor?: (at: number | undefined) => void;
}

/** Left of the chart, where a cursor is hidden. */
const NOWHERE = -10;

export function Lines({ times, series, range, stepMs = 0, height, isTime = true, cursor, onCursor }: Props) {
  const [frame, width] = useWidth();
  const host = useRef<HTMLDivElement>(null);
  const drawn = useRef<uPlot>(null);
  const [nearest, setNearest] = useState<number | null>(null);
  const at = onCursor ? (cursor === undefined ? -1 : stepAt(times, stepMs, cursor)) : (nearest ?? -1);
  const { colorScheme } = useMantineColorScheme();
  useEffect(() => {
    if (!host.current) return undefined;
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--faint'),
      grid: { stroke: colour('--line'), width: 1, dash: [2, 4] },
      ticks: { show: false },
      font: '10.5px "Inter Variable"',
    };
    const x = isTime ? times.map((time) => (time + stepMs / 2) / 1000) : times;
    const plot = new uPlot(
      {
        width,
        height,
        legend: { show: false },
        // Charts below each other end at the same place.
        padding: range ? [null, 0, null, null] : undefined,
        cursor: {
          y: false,
          points: { size: 6 },
          // Nothing is said of a step that is not there.
          dataIdx: (_, __, closest, value) =>
            stepMs > 0 && Math.abs(x[closest]! - value) * 2000 > stepMs ? null : closest,
        },
        scales: {
          x: { time: isTime, ...(range ? { range: [range.since / 1000, range.until / 1000] } : {}) },
          y: { range: (_, __, most) => [0, Math.max(most, 1) * 1.05] },
        },
        axes: [
          {
            ...axis,
            size: 26,
            grid: { show: false },
            ...(range
              ? {
                  splits: () => labelled(range, width).map(([tick]) => tick / 1000),
                  values: () => labelled(range, width).map(([, words]) => words),
                }
              : {
                  values: isTime
                    ? (_, splits) => splits.map((split) => local(split * 1000).replace(/:\d\d$/, ''))
                    : undefined,
                }),
          },
          { ...axis, size: range ? LEFT : 44 },
        ],
        series: [
          {},
          ...series.map((one) => ({
            label: one.name,
            stroke: colour(one.colour),
            width: 1.5,
            spanGaps: false,
            points: {
              show: times.length < 40,
              size: 4,
              filter: (_: uPlot, __: number, isShown: boolean) => (isShown ? null : lonely(one.values)),
            },
          })),
        ],
        hooks: { setCursor: [(self) => setNearest(self.cursor.idx ?? null)] },
      },
      [x, ...series.map((one) => one.values)],
      host.current,
    );
    drawn.current = plot;
    return () => {
      plot.destroy();
      drawn.current = null;
    };
    // A change of the theme changes the colours.
  }, [times, series, range, stepMs, width, height, isTime, colorScheme]);
  useEffect(() => {
    const plot = drawn.current;
    if (!plot || !onCursor || (cursor === undefined && (plot.cursor.left ?? NOWHERE) < 0)) return;
    plot.setCursor({ left: cursor === undefined ? NOWHERE : plot.valToPos(cursor / 1000, 'x'), top: 0 });
  }, [cursor, onCursor]);
  const point = (event: PointerEvent) => {
    const plot = drawn.current;
    if (!plot || !onCursor) return;
    const { left, width: wide } = plot.over.getBoundingClientRect();
    const px = event.clientX - left;
    onCursor(px < 0 || px > wide ? undefined : plot.posToVal(px, 'x') * 1000);
  };
  return (
    <div ref={frame}>
      {/* One line, however much it says, so that the chart stays where it is. */}
      <div className="row strip-keys one-line faint">
        {series.map((one) => (
          <span key={one.name} className="row">
            <span className="strip-key" style={{ background: `var(${one.colour})` }} />
            {one.name}
            {one.values[at] != null && <strong className="number">{figure(one.values[at])}</strong>}
          </span>
        ))}
        {times[at] !== undefined && <span className="number cut">{timeWords(times[at], isTime, stepMs)}</span>}
      </div>
      <div ref={host} style={{ height }} onPointerMove={point} onPointerLeave={() => onCursor?.(undefined)} />
    </div>
  );
}

/** The places of values that no line leads to, because there is none on either side. */
export function lonely(values: (number | null)[]): number[] {
  return values.flatMap((value, index) =>
    value !== null && values[index - 1] == null && values[index + 1] == null ? [index] : [],
  );
}

function timeWords(time: number, isTime: boolean, stepMs: number): string {
  if (!isTime) return figure(time);
  return `${local(time)}${stepMs > 0 ? ` – ${local(time + stepMs)}` : ''} · ${utc(time)}`;
}
