import { describe, expect, it } from 'vitest';

import { OWN_WIDTHS, resized, tracksOf, WIDTH_MAX, WIDTH_MIN, type Widths, without } from './widths';

const COLUMNS = [
  { id: 'at', width: '120px' },
  { id: 'who', width: 'minmax(0, 1fr)' },
  { id: 'what', width: 'minmax(0, 2fr)' },
  { id: 'size', width: '66px' },
];
const SHOWN = [120, 200, 400, 66];
const widthsOf = (px: Record<string, number>): Widths =>
  new Map(Object.entries(px).map(([id, width]) => [id, { px: width }]));
const pxOf = (widths: Widths) => Object.fromEntries(Array.from(widths, ([id, { px }]) => [id, px]));

describe('tracks of a table', () => {
  it('are what the columns say, until somebody changes one', () => {
    expect(tracksOf(COLUMNS)).toBe('120px minmax(0, 1fr) minmax(0, 2fr) 66px');
    expect(tracksOf(COLUMNS, widthsOf({ elsewhere: 90 }))).toBe(tracksOf(COLUMNS));
  });

  it('leave something to what takes the rest', () => {
    expect(tracksOf(COLUMNS, widthsOf({ at: 300 }))).toBe('300px minmax(64px, 1fr) minmax(64px, 2fr) 66px');
  });
});

describe('a column that is made wider', () => {
  it('leaves those before it where they are', () => {
    const after = (before: Widths, id: string, px: number) => pxOf(resized(before, COLUMNS, SHOWN, id, px));
    expect(after(OWN_WIDTHS, 'what', 450)).toEqual({ who: 200, what: 450 });
    expect(after(widthsOf({ who: 90 }), 'what', 450)).toEqual({ who: 90, what: 450 });
    expect(after(OWN_WIDTHS, 'at', 130)).toEqual({ at: 130 });
  });

  it.each([
    [-50, WIDTH_MIN],
    [99.6, 100],
    [1e9, WIDTH_MAX],
  ])('to %d px has %d px', (wanted, expected) => {
    expect(pxOf(resized(OWN_WIDTHS, COLUMNS, SHOWN, 'at', wanted))).toEqual({ at: expected });
  });

  it('has its own width again', () => {
    expect(pxOf(without(widthsOf({ at: 130, who: 200 }), 'who'))).toEqual({ at: 130 });
  });

  it('frees with it what stayed because of it, unless somebody has resized that as well', () => {
    const dragged = resized(OWN_WIDTHS, COLUMNS, SHOWN, 'size', 90);
    expect(pxOf(dragged)).toEqual({ who: 200, what: 400, size: 90 });
    expect(pxOf(without(dragged, 'what'))).toEqual({ who: 200, size: 90 });
    expect(pxOf(without(dragged, 'size'))).toEqual({});
    const both = resized(dragged, COLUMNS, SHOWN, 'who', 150);
    expect(pxOf(without(both, 'size'))).toEqual({ who: 150 });
  });
});

describe.each(['constructor', '__proto__', 'toString'])('a column that is called %s', (id) => {
  const columns = [
    { id, width: 'minmax(0, 1fr)' },
    { id: 'size', width: '66px' },
  ];

  it('is a column as any other', () => {
    expect(tracksOf(columns)).toBe('minmax(0, 1fr) 66px');
    expect(tracksOf(columns, resized(OWN_WIDTHS, columns, SHOWN, 'size', 90))).toBe('120px 90px');
    const dragged = resized(OWN_WIDTHS, columns, SHOWN, id, 130);
    expect(tracksOf(columns, dragged)).toBe('130px 66px');
    expect(tracksOf(columns, without(dragged, id))).toBe('minmax(0, 1fr) 66px');
  });
});
