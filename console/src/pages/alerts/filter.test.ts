import { expect, it } from 'vitest';

import type { Alert } from '../../api/types';
import { type AlertFilter, fits } from './filter';

const ALERT = {
  state: 'open',
  severity: 'high',
  detector: 'request_spike',
  entity: { value: 'c-1', label: 'mallory' },
  worst: { service_name: 'shop' },
  assignee: null,
} as Alert;

it.each<[AlertFilter, boolean]>([
  [{}, true],
  [{ state: ['open'] }, true],
  [{ state: ['resolved'] }, false],
  [{ severity_min: 'high' }, true],
  [{ severity_min: 'info' }, true],
  [{ severity_min: 'critical' }, false],
  [{ detector: 'request_spike' }, true],
  [{ detector: 'request' }, false],
  [{ entity: 'c-1' }, true],
  [{ entity: 'mallory' }, true],
  [{ entity: 'mal' }, false],
  [{ service: 'shop' }, true],
  [{ service: 'pay' }, false],
  [{ assignee: 'anna' }, false],
  [{ assigned: false }, true],
  [{ state: ['open'], severity_min: 'low', service: 'pay' }, false],
])('an alert in the list of %o: %s', (filter, expected) => {
  expect(fits(ALERT, filter)).toBe(expected);
});

it('knows whose it is', () => {
  const hers = { ...ALERT, assignee: 'anna' };
  expect([fits(hers, { assignee: 'anna' }), fits(hers, { assigned: false })]).toEqual([true, false]);
});
