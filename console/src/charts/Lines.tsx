// Lines over time or over numbers, with a legend that says the values under the cursor.
import 'uplot/dist/uPlot.min.css';

import { useMantineColorScheme } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';

import { figure, local } from '../parts/words';
import type { Range } from './scale';
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
  height: number;
  isTime?: boolean;
}

export function Lines({ times, series, range, height, isTime = true }: Props) {
  const [frame, width] = useWidth();
  const host = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState<number | null>(null);
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
    const x = isTime ? times.map((time) => time / 1000) : times;
    const plot = new uPlot(
      {
        width,
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 } },
        scales: {
          x: { time: isTime, ...(range ? { range: [range.since / 1000, range.until / 1000] } : {}) },
          y: { range: (_, __, most) => [0, Math.max(most, 1) * 1.05] },
        },
        axes: [
          {
            ...axis,
            size: 26,
            grid: { show: false },
            values: isTime
              ? (_, splits) => splits.map((split) => local(split * 1000).replace(/:\d\d$/, ''))
              : undefined,
          },
          { ...axis, size: 44 },
        ],
        series: [
          {},
          ...series.map((one) => ({
            label: one.name,
            stroke: colour(one.colour),
            width: 1.5,
            spanGaps: false,
            points: { show: times.length < 40, size: 4 },
          })),
        ],
        hooks: { setCursor: [(self) => setAt(self.cursor.idx ?? null)] },
      },
      [x, ...series.map((one) => one.values)],
      host.current,
    );
    return () => plot.destroy();
    // A change of the theme changes the colours.
  }, [times, series, range, width, height, isTime, colorScheme]);
  return (
    <div ref={frame}>
      <div className="row strip-keys faint" style={{ minHeight: 20 }}>
        {series.map((one) => (
          <span key={one.name} className="row">
            <span className="strip-key" style={{ background: `var(${one.colour})` }} />
            {one.name}
            {at !== null && one.values[at] != null && <strong className="number">{figure(one.values[at])}</strong>}
          </span>
        ))}
        {at !== null && times[at] !== undefined && (
          <span className="number">{isTime ? local(times[at]) : figure(times[at])}</span>
        )}
      </div>
      <div ref={host} style={{ height }} />
    </div>
  );
}
