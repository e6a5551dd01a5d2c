// Which findings a policy's condition is about, by the same rules as outrider's own: every field that is given has to
// match, and an empty list matches everything. `crates/respond/src/desk/policies.rs` has the rules.
import { type Condition, type Finding, SEVERITIES } from '../../api/types';

export function matches(when: Condition, finding: Finding): boolean {
  const any = (list: string[], names: (string | null)[]) =>
    list.length === 0 || list.some((entry) => names.some((name) => name !== '' && name === entry));
  const isOfPeople = finding.detector.includes(':');
  const family = finding.detector.split(':')[0] ?? '';
  return (
    (when.severity_min === null || SEVERITIES.indexOf(finding.severity) >= SEVERITIES.indexOf(when.severity_min)) &&
    (when.confidence_min === null || finding.confidence >= when.confidence_min) &&
    // Whoever may save a hunt need not be somebody who may act, so only a policy that names hunts is about them.
    (!isOfPeople || when.detectors.length > 0) &&
    any(when.detectors, [finding.detector, family]) &&
    any(when.services, [finding.service_name, finding.service_id]) &&
    any(when.routes, [finding.route_name, finding.route_id]) &&
    any(when.endpoints, [finding.endpoint, finding.endpoint_name]) &&
    concernsConsumer(when, finding)
  );
}

function concernsConsumer(when: Condition, finding: Finding): boolean {
  const { entity, consumer_custom_id, consumer_tags } = finding;
  if (entity.kind !== 'consumer') return when.consumers.length === 0 && when.consumer_tags.length === 0;
  const names = [entity.label, entity.value, consumer_custom_id].filter(Boolean);
  const hasTag = (tag: string) => consumer_tags.includes(tag);
  return (
    (when.consumers.length === 0 || when.consumers.some((entry) => names.includes(entry))) &&
    (when.consumer_tags.length === 0 || when.consumer_tags.some(hasTag)) &&
    !when.except_consumers.some(
      (entry) => names.includes(entry) || (entry.startsWith('tag:') && hasTag(entry.slice(4))),
    )
  );
}
