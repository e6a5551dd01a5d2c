// All that is known of a call, in groups. Whom and what it names leads on; all of it is text.
import { IconSearch } from '@tabler/icons-react';
import { type ReactNode, useId } from 'react';
import { Link } from 'react-router';

import { timeOf } from '../../api/sql';
import type { Call, CallField, EntityKind } from '../../api/types';
import { type Fact, Facts, StatusCode, Time, timelinePath, useNow } from '../../parts/basics';
import { useEndpointName } from '../../parts/endpoint';
import { term } from '../../parts/search';
import { bytes, count, counted, ENTITY_WORDS } from '../../parts/words';

const HOUR_MS = 3_600_000;
/** A timeline shows a day unless it is asked for another time. */
const SHOWN_MS = 20 * HOUR_MS;

export function AboutCall({ call }: { call: Call }) {
  return (
    <div className="call">
      <p className="call-line">
        <StatusCode status={call.status} refused={call.own_refusal !== undefined} />{' '}
        <code className="wrap">
          {call.method} {call.path}
        </code>
      </p>
      <Group title="Request" facts={requestOf(call)} />
      <Group title="Answer" facts={answerOf(call)} />
      <Group title="Who" facts={whoOf(call)} none="The gateway knew neither a consumer nor a credential." />
      <Group title="Where from" facts={whereOf(call)} none="The gateway logged no address." />
      <Group
        title="Business entities"
        facts={(call.entities ?? []).map(({ name, value }) => [
          name,
          <To key="e" call={call} kind="business" value={`${name}:${value}`}>
            {value}
          </To>,
        ])}
      />
      <Group title="Query fields" facts={fieldsOf('query', call.query)} />
      <Group title="Headers" facts={fieldsOf('header', call.headers)} />
      <Group title="Mapped fields" facts={fieldsOf('field', call.fields ?? [])} />
      <Group title="Gateway" facts={gatewayOf(call)} />
    </div>
  );
}

/** A group of which nothing is known is left out, unless that says something. */
function Group({ title, facts, none }: { title: string; facts: Fact[]; none?: string }) {
  const heading = useId();
  const known = facts.filter(([, value]) => Boolean(value));
  if (known.length === 0 && none === undefined) return null;
  return (
    <section aria-labelledby={heading}>
      <h3 id={heading}>{title}</h3>
      {known.length > 0 ? <Facts facts={known} /> : <p className="muted">{none}</p>}
    </section>
  );
}

function requestOf(call: Call): Fact[] {
  return [
    ['Began', <Time key="b" ms={timeOf(call.started_time)} isExact />],
    ['Ended', <Time key="o" ms={timeOf(call.event_time)} isExact />],
    ['Method', <Only key="m" field="method" value={call.method} />],
    ['Path', <Only key="p" field="path" value={call.path} />],
    ['Host', only('host', call.host)],
    ['Endpoint', call.endpoint_id && <EndpointOf key="e" id={call.endpoint_id} />],
    ['Service', only('service', call.service_name ?? call.service_id)],
    ['Route', only('route', call.route_name ?? call.route_id)],
    ['Size', bytes(call.request_bytes)],
    ['Request id', call.request_id && <Found key="i" field="request_id" value={call.request_id} />],
  ];
}

const ANSWERED_BY: Record<string, string> = { upstream: 'the API behind the gateway', gateway: 'the gateway itself' };

function answerOf(call: Call): Fact[] {
  return [
    [
      'Status',
      <>
        <Only field="status" value={String(call.status)}>
          <StatusCode status={call.status} refused={call.own_refusal !== undefined} />
        </Only>
        , from {ANSWERED_BY[call.answered_by] ?? call.answered_by}
      </>,
    ],
    ['Refused by', call.own_refusal !== undefined && <>a block or limit of outrider ({call.own_refusal})</>],
    ['Type', only('type', call.response_type)],
    ['Size', bytes(call.response_bytes)],
    ['Latency', latencyOf(call)],
  ];
}

/** How long it took, and where. */
function latencyOf({ latency_total_ms, latency_gateway_ms, latency_upstream_ms }: Call): string {
  const parts: [number, string][] = [
    [latency_total_ms, ' in all'],
    [latency_gateway_ms, ' in the gateway'],
    [latency_upstream_ms, ' upstream'],
  ];
  const known = parts.filter(([ms]) => ms >= 0);
  // What took less is not counted in whole milliseconds.
  return known.map(([ms, where]) => `${ms === 0 ? 'less than 1' : count(ms)} ms${where}`).join(', ');
}

function whoOf(call: Call): Fact[] {
  const { consumer_id, consumer_name, consumer_custom_id, credential_id, presented_credential, session } = call;
  return [
    [
      ENTITY_WORDS.consumer,
      consumer_id && (
        <>
          <To call={call} kind="consumer" value={consumer_id}>
            {consumer_name ?? consumer_id}
          </To>
          {call.anonymous_consumer && <span className="faint"> · stands for whoever is nobody</span>}
        </>
      ),
    ],
    ['Consumer id', consumer_name !== undefined && consumer_id ? <code>{consumer_id}</code> : undefined],
    ['Custom id', consumer_custom_id && <code>{consumer_custom_id}</code>],
    ['Tags', call.consumer_tags?.join(', ')],
    [
      ENTITY_WORDS.credential,
      credential_id && (
        <To call={call} kind="credential" value={credential_id}>
          <code>{credential_id}</code>
        </To>
      ),
    ],
    [
      'Presented',
      // Where the gateway knows the credential, its timeline is that of its id.
      presented_credential &&
        (credential_id ? (
          <Found field="credential" value={presented_credential} />
        ) : (
          <To call={call} kind="credential" value={presented_credential}>
            <code>{presented_credential}</code>
          </To>
        )),
    ],
    [
      ENTITY_WORDS.session,
      session && (
        <To call={call} kind="session" value={session}>
          <code>{session}</code>
        </To>
      ),
    ],
    ['Program', only('agent', call.agent_family)],
    ['Kind of program', only('agent_class', call.agent_class)],
  ];
}

function whereOf(call: Call): Fact[] {
  const { client_ip, asn, latitude_e4, longitude_e4, accuracy_km } = call;
  return [
    [
      ENTITY_WORDS.ip,
      client_ip && (
        <To call={call} kind="ip" value={client_ip}>
          <code>{client_ip}</code>
        </To>
      ),
    ],
    [
      ENTITY_WORDS.network,
      asn !== undefined ? (
        <To call={call} kind="network" value={String(asn)}>
          AS{asn} {call.as_name}
        </To>
      ) : undefined,
    ],
    ['Network kind', only('network', call.network_class)],
    ['City', only('city', call.city)],
    ['Country', only('country', call.country)],
    [
      'Position',
      latitude_e4 !== undefined && longitude_e4 !== undefined
        ? `${latitude_e4 / 10_000}, ${longitude_e4 / 10_000}${accuracy_km ? `, within ${count(accuracy_km)} km` : ''}`
        : undefined,
    ],
  ];
}

const CLOCK: Record<Call['clock'], string> = {
  as_reported: 'as the gateway says',
  clamped_past: 'the gateway said a time too long ago; that of receipt stands near',
  clamped_future: 'the gateway said a time to come; that of receipt stands in',
  missing: 'the gateway said none; that of receipt stands in',
};

function gatewayOf(call: Call): Fact[] {
  return [
    ['Gateway', only('gateway', call.gateway)],
    ['Workspace', call.workspace],
    [
      'Trust',
      call.trusted ? (
        'its log line proved where it comes from'
      ) : (
        <span className="warn">its log line did not prove where it comes from</span>
      ),
    ],
    ['Time', CLOCK[call.clock] ?? call.clock],
    ['Received', <Time key="r" ms={timeOf(call.received_time)} isExact />],
    ['In outrider’s log', `record ${call.position}, call ${call.call_index}`],
  ];
}

function fieldsOf(of: 'query' | 'header' | 'field', fields: CallField[]): Fact[] {
  return fields.map((field) => [field.name, <FieldValue key="f" of={of} field={field} />]);
}

const [FLAG, PSEUDONYM, REDACTED] = [0, 2, 3];

function FieldValue({ of, field }: { of: string; field: CallField }) {
  const { name, value, kind, hidden_bytes } = field;
  if (kind === FLAG) return <span className="faint">no value</span>;
  if (kind === REDACTED) return <span className="faint">hidden by the gateway</span>;
  if (!value) return <span className="faint">empty</span>;
  return (
    <>
      {/* A name with other signs is none that a search could have. */}
      {/^[\w.-]+$/.test(name) ? <Found field={`${of}.${name}`} value={value} /> : <code>{value}</code>}
      {kind === PSEUDONYM && <span className="faint">stands for {counted(hidden_bytes, 'byte')}</span>}
    </>
  );
}

/** A value that is no entity, and the way to everybody's calls with it. */
function Found({ field, value }: { field: string; value: string }) {
  const words = 'Everybody’s calls with it';
  return (
    <>
      <code>{value}</code>{' '}
      <Link
        className="call-search"
        to={`/hunt?q=${encodeURIComponent(term(field, value))}`}
        aria-label={`${words}: ${field}`}
        title={words}
      >
        <IconSearch size={13} />
      </Link>
    </>
  );
}

/** A value that many calls have, which leads to all of these. */
function Only({ field, value, children }: { field: string; value: string; children?: ReactNode }) {
  return (
    <Link
      to={`/hunt?q=${encodeURIComponent(term(field, value))}`}
      title={`Everybody’s calls with ${term(field, value)}`}
    >
      {children ?? value}
    </Link>
  );
}

/** The same, of what may not be known. */
function only(field: string, value: string | undefined): ReactNode {
  return value ? <Only key={field} field={field} value={value} /> : undefined;
}

/** The way to an entity's timeline, around the call where that is not shown anyway. */
function To({ call, kind, value, children }: { call: Call; kind: EntityKind; value: string; children: ReactNode }) {
  const ms = timeOf(call.event_time);
  const isOld = ms < useNow(HOUR_MS) - SHOWN_MS;
  const around: Record<string, string> = isOld ? { since: String(ms - HOUR_MS), until: String(ms + HOUR_MS) } : {};
  return <Link to={timelinePath({ kind, value, gateway: call.gateway }, around)}>{children}</Link>;
}

/** An endpoint by its method and template, once these are known. */
function EndpointOf({ id }: { id: string }) {
  const name = useEndpointName(id);
  return (
    <Link to={`/apis/${encodeURIComponent(id)}`}>
      <code>{name}</code>
    </Link>
  );
}
