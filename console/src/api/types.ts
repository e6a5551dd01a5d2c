// Short names for what the API's document calls by theirs.
import type { Schemas } from './client';

export type AccessFigures = Schemas['AccessFigures'];
export type Action = Schemas['Action'];
export type ActionState = Schemas['ActionState'];
export type Alert = Schemas['Alert'];
export type AlertState = Schemas['AlertState'];
export type ApiRow = Schemas['ServiceAnswer'];
export type AuditLine = Schemas['AuditLine'];
export type CallRow = Schemas['CallRow'];
export type CheckRow = Schemas['CheckRow'];
export type ClassRow = Schemas['ClassRow'];
export type Condition = Schemas['Condition'];
export type DataClassCount = Schemas['DataClassCount'];
export type Drift = Schemas['Drift'];
export type DriftKind = Schemas['DriftKind'];
export type Endpoint = Schemas['Endpoint'];
export type EndpointFigures = Schemas['EndpointFigures'];
export type EndpointInventory = Schemas['InventoryAnswer'];
export type EndpointRow = Schemas['EndpointRow'];
export type EntityKey = Schemas['EntityKey'];
export type EntityKind = Schemas['EntityKind'];
export type Finding = Schemas['Finding'];
export type FunctionWords = Schemas['FunctionWords'];
export type HuntRow = Schemas['HuntRow'];
export type Me = Schemas['Me'];
export type Notice = Schemas['Notice'];
export type Observation = Schemas['Observation'];
export type ParameterInventory = Schemas['ParameterInventory'];
export type Policy = Schemas['Policy'];
export type PolicyRow = Schemas['PolicyRow'];
export type RiskScore = Schemas['RiskScore'];
export type Role = Schemas['Role'];
export type SampleCall = Schemas['SampleCall'];
export type Severity = Schemas['Severity'];
export type SchemaWords = Schemas['SchemaWords'];
export type Table = Schemas['Table'];
export type TableColumn = Schemas['TableColumn'];
export type TableWords = Schemas['TableWords'];
export type TemplateChange = Schemas['TemplateChange'];
export type TemplateDecision = Schemas['TemplateDecision'];
export type TemplateEffect = Schemas['TemplateEffect'];
export type TemplateRow = Schemas['TemplateRow'];
export type UnreadBodies = Schemas['UnreadBodies'];
export type WeaknessCounts = Schemas['WeaknessCounts'];
export type WeaknessRow = Schemas['WeaknessRow'];
export type WeaknessStanding = Schemas['WeaknessStanding'];

/** What is decided about templates, all of it or nothing. */
export interface TemplatesForm {
  decisions: TemplateDecision[];
  /** Ids. */
  taken_back: string[];
  /** The service whose document's paths are pinned. */
  document?: { gateway: string; workspace: string; service: string };
}

/** A call with all that the lake has of it. What is null there is not here. */
export interface Call {
  /** Times are texts in UTC. */
  event_time: string;
  started_time: string;
  received_time: string;
  /** The record of the log that it came in, and its place there. */
  position: number;
  call_index: number;
  gateway: string;
  workspace: string;
  trusted: boolean;
  clock: 'as_reported' | 'clamped_past' | 'clamped_future' | 'missing';
  request_id: string;
  endpoint_id?: string;
  service_id?: string;
  service_name?: string;
  route_id?: string;
  route_name?: string;
  consumer_id?: string;
  consumer_name?: string;
  consumer_custom_id?: string;
  consumer_tags?: string[];
  anonymous_consumer: boolean;
  credential_id?: string;
  presented_credential?: string;
  session?: string;
  client_ip?: string;
  host: string;
  method: string;
  path: string;
  query: CallField[];
  headers: CallField[];
  status: number;
  answered_by: string;
  own_refusal?: string;
  request_bytes: number;
  response_bytes: number;
  /** −1 where the gateway does not say, or where it does not apply. */
  latency_total_ms: number;
  latency_gateway_ms: number;
  latency_upstream_ms: number;
  response_type: string;
  country?: string;
  city?: string;
  latitude_e4?: number;
  longitude_e4?: number;
  accuracy_km?: number;
  asn?: number;
  as_name?: string;
  network_class?: string;
  agent_family?: string;
  agent_class?: string;
  entities?: { name: string; value: string }[];
  fields?: CallField[];
}

/** A field of a query, a header, or what the source's mapping made of the line. */
export interface CallField {
  name: string;
  value?: string;
  /** 0 is a flag without a value, 1 in clear, 2 a pseudonym, 3 what the gateway itself had hidden. */
  kind: number;
  /** The length of what a pseudonym stands for. */
  hidden_bytes?: number;
}

export const SEVERITIES: Severity[] = ['info', 'low', 'medium', 'high', 'critical'];
export const ALERT_STATES: AlertState[] = ['open', 'acknowledged', 'resolved', 'false_positive'];
export const STANDINGS: WeaknessStanding[] = ['open', 'excepted', 'fixed'];
/** Those that have a timeline: services and gateways never act. */
export const ENTITY_KINDS: EntityKind[] = ['consumer', 'credential', 'ip', 'network', 'session', 'business'];
/** States of an action in which the gateway restricts somebody, or is about to. */
export const ACTIVE_STATES: ActionState[] = ['approved', 'pending', 'stored', 'in_force', 'releasing'];
export const ROLES: Role[] = ['viewer', 'analyst', 'responder', 'admin'];

/** Whether a role may do what asks for at least another. */
export function may(role: Role | undefined, least: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(least);
}
