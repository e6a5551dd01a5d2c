// Short names for what the API's document calls by theirs.
import type { Schemas } from './client';

export type AccessFigures = Schemas['AccessFigures'];
export type Action = Schemas['Action'];
export type ActionState = Schemas['ActionState'];
export type Alert = Schemas['Alert'];
export type AlertState = Schemas['AlertState'];
export type AuditLine = Schemas['AuditLine'];
export type CallRow = Schemas['CallRow'];
export type Condition = Schemas['Condition'];
export type Endpoint = Schemas['Endpoint'];
export type EndpointFigures = Schemas['EndpointFigures'];
export type EndpointRow = Schemas['EndpointRow'];
export type EntityKey = Schemas['EntityKey'];
export type EntityKind = Schemas['EntityKind'];
export type Finding = Schemas['Finding'];
export type HuntRow = Schemas['HuntRow'];
export type Me = Schemas['Me'];
export type Notice = Schemas['Notice'];
export type Observation = Schemas['Observation'];
export type Policy = Schemas['Policy'];
export type PolicyRow = Schemas['PolicyRow'];
export type Role = Schemas['Role'];
export type SampleCall = Schemas['SampleCall'];
export type Severity = Schemas['Severity'];
export type Table = Schemas['Table'];

export const SEVERITIES: Severity[] = ['info', 'low', 'medium', 'high', 'critical'];
export const ALERT_STATES: AlertState[] = ['open', 'acknowledged', 'resolved', 'false_positive'];
export const ENTITY_KINDS: EntityKind[] = ['consumer', 'credential', 'ip', 'network', 'session', 'business'];
/** States of an action in which the gateway restricts somebody, or is about to. */
export const ACTIVE_STATES: ActionState[] = ['approved', 'pending', 'stored', 'in_force', 'releasing'];
export const ROLES: Role[] = ['viewer', 'analyst', 'responder', 'admin'];

/** Whether a role may do what asks for at least another. */
export function may(role: Role | undefined, least: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(least);
}
