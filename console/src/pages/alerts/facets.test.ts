import { expect, it } from 'vitest';

import type { Alert } from '../../api/types';
import { termOf } from '../timeline/addressTerms';
import { facetsBy } from '../timeline/counting';
import { ALERT_FIELDS } from './facets';

const alert = (severity: string, label: string, assignee: string | null = null) =>
  ({
    severity,
    state: 'open',
    detector: 'request_spike',
    entity: { label, value: 'id' },
    assignee,
    worst: {},
  }) as Alert;

it('counts with a least severity those that are worse, the least first', () => {
  const rows = [alert('critical', 'mallory'), alert('high', 'mallory', 'berta'), alert('low', '')];
  const facets = facetsBy(ALERT_FIELDS, rows, termOf);
  const counts = (title: string) =>
    facets.find((facet) => facet.title === title)?.values.map(({ words, count }) => `${words}: ${count}`);
  expect(counts('Severity')).toEqual(['low or worse: 3', 'medium or worse: 2', 'high or worse: 2', 'critical: 1']);
  expect(counts('About')).toEqual(['mallory: 2', 'id: 1']);
  expect(counts('Assigned to')).toEqual(['nobody: 2', 'berta: 1']);
  expect(counts('Service')).toBeUndefined();
});
