import { act } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';
import type uPlot from 'uplot';

import { lonely } from '../../charts/Lines';
import { stage } from '../../testing';
import { OverTime } from './OverTime';

/** As wide as a chart is before it is measured. */
const WIDTH = 800;

/** Stands for what draws on a canvas, which is not here: it has the places of the real one, also where nobody says any. */
class Plot {
  cursor: { left: number; idx?: number | null } = { left: -10 };
  over: HTMLElement;
  private readonly left: number;
  private readonly right: number;
  constructor(
    readonly options: uPlot.Options,
    readonly data: uPlot.AlignedData,
    host: HTMLElement,
  ) {
    made.push(this);
    this.left = (options.axes?.[1]?.size as number | undefined) ?? 50;
    this.right = WIDTH - ((options.padding?.[1] as number | null | undefined) ?? 25);
    this.over = document.createElement('div');
    this.over.getBoundingClientRect = () => new DOMRect(this.left, 0, this.right - this.left, 100);
    host.append(this.over);
  }
  private get span() {
    return (
      (this.options.scales!['x']!.range as [number, number] | undefined) ?? [this.data[0][0]!, this.data[0].at(-1)!]
    );
  }
  valToPos(value: number) {
    return ((value - this.span[0]) / (this.span[1] - this.span[0])) * (this.right - this.left);
  }
  posToVal(px: number) {
    return this.span[0] + (px / (this.right - this.left)) * (this.span[1] - this.span[0]);
  }
  setCursor({ left }: { left: number }) {
    this.cursor = { left };
  }
  destroy() {
    this.over.remove();
  }
  /** Where a moment is, from the left edge of the whole. */
  placeOf(ms: number) {
    return this.left + this.valToPos(ms / 1000);
  }
  get pointed() {
    return this.cursor.left < 0 ? undefined : this.left + this.cursor.left;
  }
}
let made: Plot[] = [];
vi.mock('uplot', () => ({
  // Looked up when it is called: the mock is there before the class.
  default: function make(...parts: ConstructorParameters<typeof Plot>) {
    return new Plot(...parts);
  },
}));

const STEP_MS = 60_000;
const step = (start_ms: number, calls: number) => ({
  start_ms,
  calls,
  client_errors: 0,
  server_errors: 0,
  refused: 0,
  p50: calls * 2,
  p95: calls * 3,
});
const USE = { since: 0, until: 10 * STEP_MS, steps: [step(0, 5), step(4 * STEP_MS, 17)] };

const on = stage();
beforeEach(() => {
  made = [];
  on.draw(<OverTime use={USE} stepMs={STEP_MS} />);
});

const plot = () => made.at(-1)!;
const strip = () => on.host.querySelector('.strip svg')!;
const said = () => on.host.querySelector('.strip-hover')?.textContent;
const legend = () => on.host.querySelector('.one-line')!.textContent;
const cursor = () => on.host.querySelector('.strip-cursor')?.getAttribute('x1') ?? undefined;
const point = (target: Element, type: string, clientX: number) =>
  act(() => {
    target.dispatchEvent(new MouseEvent(type, { clientX, bubbles: true }));
  });

it('has each moment at the same place in both', () => {
  for (const at of [USE.since, 4.5 * STEP_MS, USE.until]) {
    point(strip(), 'pointermove', plot().placeOf(at));
    expect(Number(cursor())).toBeCloseTo(plot().placeOf(at));
    expect(plot().pointed).toBeCloseTo(plot().placeOf(at));
  }
});

it('has the same words under both, and each value in the middle of its step', () => {
  const under = Array.from(on.host.querySelectorAll('.strip-text[text-anchor=middle]'), (one) => one.textContent);
  const values = plot().options.axes![0]!.values as () => string[];
  expect(values()).toEqual(under);
  expect(plot().data[0]).toEqual(Array.from({ length: 10 }, (_, index) => (index + 0.5) * 60));
});

it('says in the lines what is pointed at among the calls', () => {
  point(strip(), 'pointermove', plot().placeOf(4.5 * STEP_MS));
  expect(said()).toContain('17');
  expect(legend()).toContain('p5034');
  point(strip(), 'pointerout', 0);
  expect(plot().pointed).toBeUndefined();
  expect(legend()).not.toContain('p5034');
  expect(said()).toBeUndefined();
});

it('says among the calls what is pointed at in the lines, also where nobody called', () => {
  point(plot().over, 'pointermove', plot().placeOf(4.5 * STEP_MS));
  expect(said()).toContain('17');
  point(plot().over, 'pointermove', plot().placeOf(2 * STEP_MS));
  expect(said()).toBeUndefined();
  expect(Number(cursor())).toBeCloseTo(plot().placeOf(2 * STEP_MS));
  // Over the numbers on the left nothing is pointed at.
  point(plot().over, 'pointermove', 10);
  expect(cursor()).toBeUndefined();
  // Nothing is drawn anew for that.
  expect(made).toHaveLength(1);
});

it('draws no line over steps in which nobody called, and a point where no line leads', () => {
  const nothing = [null, null, null];
  expect(plot().data[1]).toEqual([10, ...nothing, 34, ...nothing, null, null]);
  expect(lonely([10, null, 34, 35, null, 36])).toEqual([0, 5]);
});
