// Whether an alert is in a list as it is filtered and sorted: what the API does, for alerts that its stream tells of.
import { type Alert, type AlertState, SEVERITIES, type Severity } from '../../api/types';
import type { Order } from '../../live/fresh';

/** In the address, for alerts that nobody looks after; no person has such a name. */
export const NOBODY = '(nobody)';

export interface AlertFilter {
  state?: AlertState[];
  severity_min?: Severity;
  detector?: string;
  /** The id or the label. */
  entity?: string;
  service?: string;
  assignee?: string;
  assigned?: boolean;
}

export const ORDERS: Record<'opened' | 'last_finding', Order<Alert>> = {
  opened: (alert) => alert.opened_ms,
  last_finding: (alert) => alert.last_finding_ms,
};

export function fits(alert: Alert, filter: AlertFilter): boolean {
  const { state, severity_min, detector, entity, service, assignee, assigned } = filter;
  return (
    (state === undefined || state.includes(alert.state)) &&
    (severity_min === undefined || SEVERITIES.indexOf(alert.severity) >= SEVERITIES.indexOf(severity_min)) &&
    (detector === undefined || alert.detector === detector) &&
    (entity === undefined || alert.entity.value === entity || alert.entity.label === entity) &&
    (service === undefined || alert.worst.service_name === service) &&
    (assignee === undefined || alert.assignee === assignee) &&
    (assigned === undefined || Boolean(alert.assignee) === assigned)
  );
}
