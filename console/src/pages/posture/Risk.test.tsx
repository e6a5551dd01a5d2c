import { act } from 'react';
import { expect, it } from 'vitest';

import type { RiskScore } from '../../api/types';
import { stage } from '../../testing';
import { Risk, RiskFigure } from './Risk';
import { CHECKS, RISK } from './testing';

const on = stage({
  answer: ({ pathname }) =>
    pathname === '/api/v1/posture/checks' ? Response.json({ items: CHECKS, next: null }) : undefined,
});
const show = (risk: RiskScore | null) => on.show(<Risk risk={risk} place={{ endpoint: 'ep_1' }} />);

it('says what makes a score, and leads to what is weak', async () => {
  await show(RISK);
  expect(on.host.querySelector('.risk-score')!.textContent).toBe('7.4');
  const factors = [...on.host.querySelectorAll('[aria-label="What makes it"] li')];
  expect(factors.map((one) => one.textContent)).toEqual([
    '+4.0Plain HTTPshop answers over plain HTTP.',
    '+2.5Open to anybody40 calls without authentication.',
    '+0.9Personal datait carries email',
  ]);
  expect(factors.map((one) => one.querySelector('a')?.getAttribute('href'))).toEqual([
    '/posture?endpoint=ep_1&check=plain_http',
    '/posture?endpoint=ep_1&check=unauthenticated_access',
    undefined,
  ]);
});

it('says what made each move, the newest first', async () => {
  await show(RISK);
  const moves = () =>
    [...on.host.querySelectorAll('[aria-label="How it moved"] li strong')].map((one) => one.textContent);
  expect(moves()).toEqual(['6.1 → 7.4', '0.0 → 6.1']);
  await show({ ...RISK, moves: Array.from({ length: 20 }, (_, at) => ({ ...RISK.moves[0]!, at_ms: at + 1 })) });
  expect(moves()).toHaveLength(4);
  act(() => [...on.host.querySelectorAll('button')].find((one) => one.textContent === 'Show all 20 moves')!.click());
  expect(moves()).toHaveLength(20);
});

it('tells what is not known from what is not risky', async () => {
  await show(null);
  expect(on.host.textContent).toContain('This fills by itself.');
  await show({ ...RISK, score: 0, factors: [], moves: [] });
  expect(on.host.textContent).toContain('Nothing is weak');
  expect(on.host.textContent).toContain('It has not moved yet.');
  await on.show(<RiskFigure risk={null} />);
  expect(on.host.textContent).toBe('–');
});
