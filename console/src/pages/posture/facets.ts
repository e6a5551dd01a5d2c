// What the weaknesses of a list have in common, and the filter that finds those that have it.
import { type CheckRow, SEVERITIES, STANDINGS, type WeaknessRow, type WeaknessStanding } from '../../api/types';
import type { Countable } from '../timeline/counting';
import { owaspWords } from './owasp';
import { checkWords, STANDING_WORDS, standingOf } from './weakness';

/** The filter is of a least severity, so the worse ones are counted with each; all have the least. */
const WORSE = SEVERITIES.slice(1);

/** Checks are called by their titles. */
export function weaknessFields(checks: CheckRow[]): Countable<WeaknessRow>[] {
  return [
    {
      field: 'severity_min',
      title: 'Severity',
      valuesOf: ({ severity }) => WORSE.filter((one) => SEVERITIES.indexOf(one) <= SEVERITIES.indexOf(severity)),
      words: (value) => (value === SEVERITIES.at(-1) ? value : `${value} or worse`),
      order: WORSE,
    },
    {
      field: 'state',
      title: 'State',
      valuesOf: ({ state }) => [standingOf(state)],
      words: (value) => STANDING_WORDS[value as WeaknessStanding],
      order: STANDINGS,
    },
    {
      field: 'check',
      title: 'Check',
      valuesOf: ({ check }) => [check],
      words: (value) => checkWords(value, checks),
    },
    { field: 'owasp', title: 'OWASP', valuesOf: ({ owasp }) => [owasp], words: owaspWords },
    {
      field: 'service',
      title: 'Service',
      valuesOf: ({ service, service_name }) => [service_name || service],
    },
    { field: 'gateway', title: 'Gateway', valuesOf: ({ gateway }) => [gateway] },
  ];
}
