// What the alerts of a list have in common, and the filter that finds those that have it.
import { type Alert, ALERT_STATES, SEVERITIES } from '../../api/types';
import { ALERT_STATE_WORDS, detectorName } from '../../parts/words';
import type { Countable } from '../timeline/counting';
import { NOBODY } from './filter';

/** The filter is of a least severity, so the worse ones are counted with each; all have the least. */
const WORSE = SEVERITIES.slice(1);

export const ALERT_FIELDS: Countable<Alert>[] = [
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
    valuesOf: ({ state }) => [state],
    words: (value) => ALERT_STATE_WORDS[value as Alert['state']],
    order: ALERT_STATES,
  },
  { field: 'detector', title: 'Detector', valuesOf: ({ detector }) => [detector], words: detectorName },
  { field: 'entity', title: 'About', valuesOf: ({ entity }) => [entity.label || entity.value] },
  { field: 'service', title: 'Service', valuesOf: ({ worst }) => [worst.service_name] },
  {
    field: 'assignee',
    title: 'Assigned to',
    valuesOf: ({ assignee }) => [assignee ?? NOBODY],
    words: (value) => (value === NOBODY ? 'nobody' : value),
  },
];
