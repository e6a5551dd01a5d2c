import { expect, it } from 'vitest';

import type { Alert } from '../../api/types';
import { stage } from '../../testing';
import { AroundAlert } from './AroundAlert';

const on = stage({
  answer: ({ pathname }) =>
    pathname === '/api/v1/timeline/density' ? Response.json({ step_ms: 1000, steps: [] }) : undefined,
});

const MINUTE_MS = 60_000;

it.each([
  ['goes on', 1, true],
  ['was over long ago', 60, false],
])('asks again for the calls of an alert that %s', async (_, minutes, isAgain) => {
  const at = Date.now() - minutes * MINUTE_MS;
  const alert = {
    id: 'al_1',
    severity: 'high',
    entity: { kind: 'consumer', value: 'mallory', label: 'mallory', gateway: 'kong', workspace: '' },
    started_ms: at - MINUTE_MS,
    opened_ms: at,
    last_finding_ms: at,
  } as Alert;
  await on.show(<AroundAlert alert={alert} />);
  const density = on.client.getQueryCache().findAll({ queryKey: ['density'] })[0]!;
  const interval = density.observers[0]!.options.refetchInterval;
  expect(typeof interval === 'function' && Boolean(interval(density as never))).toBe(isAgain);
});
