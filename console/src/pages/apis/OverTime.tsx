// An endpoint's calls and latency over time: two charts of the same time. What is pointed at in one is said in both.
import { useMemo, useState } from 'react';

import { Lines } from '../../charts/Lines';
import { type Stretch, Strip, StripKeys } from '../../charts/Strip';
import { Panel } from '../../parts/basics';
import type { Use } from './questions';

interface Props {
  use: Use | undefined;
  stepMs: number;
  stretches?: Stretch[];
}

/** When each step of a range begins. */
function stepsOf({ since, until }: Use, stepMs: number): number[] {
  return Array.from({ length: Math.ceil((until - since) / stepMs) }, (_, index) => since + index * stepMs);
}

export function OverTime({ use, stepMs, stretches }: Props) {
  const [cursor, setCursor] = useState<number>();
  // The lines are drawn anew when these change, and not when the pointer moves.
  const latency = useMemo(() => {
    const steps = new Map(use?.steps.map((step) => [step.start_ms, step]));
    // A step without calls has no latency, and no line goes over it.
    const times = use ? stepsOf(use, stepMs) : [];
    return {
      times,
      series: [
        { name: 'p50', values: times.map((at) => steps.get(at)?.p50 ?? null), colour: '--accent' },
        { name: 'p95', values: times.map((at) => steps.get(at)?.p95 ?? null), colour: '--high' },
      ],
    };
  }, [use, stepMs]);
  const shared = { stepMs, cursor, onCursor: setCursor };
  return (
    <>
      <Panel title="Calls" after={<StripKeys />}>
        <div style={{ minHeight: 130 }}>
          {use && <Strip label="Calls" range={use} steps={use.steps} stretches={stretches} height={130} {...shared} />}
        </div>
      </Panel>
      <Panel title="Latency, ms">
        {/* With the 20 of the names above. */}
        <div style={{ minHeight: 170 }}>{use && <Lines range={use} {...latency} height={150} {...shared} />}</div>
      </Panel>
    </>
  );
}
