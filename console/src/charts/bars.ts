// Steps of time as stacked bars: one path for each part, since hundreds of elements take long to draw again.

export interface Step {
  start_ms: number;
  calls: number;
  client_errors: number;
  server_errors: number;
  refused: number;
}

/** From the bottom up. */
export const PARTS = ['ok', 'refused', 'client_errors', 'server_errors'] as const;
export type Part = (typeof PARTS)[number];

export function ofPart(step: Step, part: Part): number {
  return part === 'ok' ? step.calls - step.client_errors - step.server_errors - step.refused : step[part];
}

/** The calls of the tallest step. */
export function mostOf(steps: Step[]): number {
  return Math.max(...steps.map((step) => step.calls), 1);
}

interface Frame {
  left: number;
  right: number;
  bottom: number;
  /** Where a moment is, and how tall a number of calls is. */
  x: (at: number) => number;
  y: (calls: number) => number;
  stepMs: number;
}

/** Where a bar begins and ends; the first and the last may be cut by the frame. */
export function sidesOf(step: Step, { left, right, x, stepMs }: Frame): [number, number] | undefined {
  const from = Math.max(x(step.start_ms), left);
  const to = Math.min(Math.max(x(step.start_ms + stepMs) - 1, x(step.start_ms) + 0.5), right);
  return to < left || from > right ? undefined : [from, Math.max(to, from + 1)];
}

/** The path of each part, as SVG writes it. Nothing is drawn of what is not there; one call is seen however many others have. */
export function barsOf(steps: Step[], frame: Frame): Record<Part, string> {
  const paths: Record<Part, string> = { ok: '', refused: '', client_errors: '', server_errors: '' };
  for (const step of steps) {
    const sides = sidesOf(step, frame);
    if (!sides) continue;
    const [from, to] = sides.map((side) => Math.round(side * 10) / 10) as [number, number];
    let floor = frame.bottom;
    for (const part of PARTS) {
      const number = ofPart(step, part);
      if (number <= 0) continue;
      const top = floor - Math.max(frame.y(number), 1);
      paths[part] += `M${from} ${floor.toFixed(1)}V${top.toFixed(1)}H${to}V${floor.toFixed(1)}Z`;
      floor = top;
    }
  }
  return paths;
}
