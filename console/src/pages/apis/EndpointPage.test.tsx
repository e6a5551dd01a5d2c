import { QueryClient } from '@tanstack/react-query';
import { act } from 'react';
import { expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import { Tables } from './EndpointPage';
import { SPANS } from './questions';

// It looks for a canvas as soon as it is there, and draws nothing here.
vi.mock('uplot', () => ({ default: class {} }));

let refusal: Response;
const on = stage({
  answer: () => refusal.clone(),
  makeClient: () => new QueryClient({ defaultOptions: { queries: { retry: false } } }),
});

async function show(status: number, detail: string) {
  refusal = Response.json({ type: 'problem', status, detail }, { status });
  await on.show(<Tables id="ep_1" span={SPANS[1]} />);
}

it('says why there are no callers', async () => {
  await show(503, 'the lake is busy');
  expect(on.host.querySelector('h2')!.textContent).toBe('Callers');
  expect(on.host.querySelector('[role=alert]')!.textContent).toContain('the lake is busy');
});

it('has nothing to say where there is no lake', async () => {
  await show(404, 'this outrider keeps no lake');
  // Each of the three tables asks when the one before was answered.
  await act(() => vi.waitFor(() => expect(on.host.querySelector('h2')).toBeNull()));
});
