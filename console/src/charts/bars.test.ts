import { describe, expect, it } from 'vitest';

import { barsOf, type Step } from './bars';

const FRAME = { left: 0, right: 100, bottom: 50, x: (at: number) => at, y: (calls: number) => calls, stepMs: 10 };
const step = (start_ms: number, parts: Partial<Step>): Step => ({
  start_ms,
  calls: 0,
  client_errors: 0,
  server_errors: 0,
  refused: 0,
  ...parts,
});

describe('bars', () => {
  it('stand on each other, the refused above the answered', () => {
    expect(barsOf([step(20, { calls: 30, refused: 10 })], FRAME)).toEqual({
      ok: 'M20 50.0V30.0H29V50.0Z',
      refused: 'M20 30.0V20.0H29V30.0Z',
      client_errors: '',
      server_errors: '',
    });
  });

  it.each([
    ['begins before the frame', -5, 'M0 50.0V45.0H4V50.0Z'],
    ['ends behind the frame', 95, 'M95 50.0V45.0H100V50.0Z'],
    ['lies outside of it', 120, ''],
  ])('one %s', (_, start, expected) => {
    expect(barsOf([step(start, { calls: 5 })], FRAME).ok).toBe(expected);
  });

  it('shows a single call among very many', () => {
    const frame = { ...FRAME, y: (calls: number) => calls / 1000 };
    expect(barsOf([step(0, { calls: 1, server_errors: 1 })], frame).server_errors).toBe('M0 50.0V49.0H9V50.0Z');
  });
});
