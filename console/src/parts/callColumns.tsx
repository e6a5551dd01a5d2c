// How a call is shown in a table: each value leads on.
import type { CallRow, EntityKind } from '../api/types';
import { StatusCode, Time } from './basics';
import type { Column } from './DataTable';
import { CallLink } from './openCall';
import { type OpenPivot, Value } from './Pivot';
import { bytes } from './words';

/** What the call beside them says, and they need not where there is little room. */
const SAID_BESIDE = ['service', 'latency', 'size'];

/** The name that what is chosen of them is kept by. */
export const CALLS = 'Calls';

/** Those that one may choose from. */
export function choosableColumns(whose?: EntityKind): Column<CallRow>[] {
  return callColumns(() => undefined, whose);
}

/** Without the column that would say in every row whose calls they are. */
export function callColumns(open: OpenPivot, whose?: EntityKind, isTight = false): Column<CallRow>[] {
  const columns: Column<CallRow>[] = [
    {
      id: 'time',
      head: 'Time',
      isNeeded: true,
      width: '136px',
      cell: (call) => (
        <CallLink call={call}>
          <Time ms={call.time_us / 1000} isExact />
        </CallLink>
      ),
    },
    {
      id: 'status',
      head: 'Status',
      width: '48px',
      cell: (call) => (
        <Value field="status" value={String(call.status)} open={open}>
          <StatusCode status={call.status} refused={call.own_refusal !== null} />
        </Value>
      ),
    },
    {
      id: 'method',
      head: 'Method',
      width: '58px',
      cell: (call) => (
        <Value field="method" value={call.method} open={open}>
          <code>{call.method}</code>
        </Value>
      ),
    },
    {
      id: 'path',
      head: 'Path',
      width: 'minmax(120px, 3fr)',
      cell: (call) => (
        <Value field="path" value={call.path} endpoint={call.endpoint_id ?? undefined} open={open}>
          <code>{call.path}</code>
        </Value>
      ),
    },
    {
      id: 'service',
      head: 'Service',
      width: 'minmax(60px, 0.8fr)',
      cell: (call) =>
        call.service_name ? (
          <Value field="service" value={call.service_name} open={open} />
        ) : (
          <span className="faint">–</span>
        ),
    },
    {
      id: 'consumer' satisfies EntityKind,
      head: 'Consumer',
      width: 'minmax(70px, 1fr)',
      cell: ({ consumer_id, consumer_name, gateway }) =>
        consumer_id ? (
          <Value
            field="consumer"
            value={consumer_name ?? consumer_id}
            entity={{ kind: 'consumer', value: consumer_id, gateway }}
            open={open}
          />
        ) : (
          <span className="faint">none</span>
        ),
    },
    {
      id: 'ip' satisfies EntityKind,
      head: 'Address',
      width: 'minmax(136px, 1fr)',
      cell: ({ client_ip, gateway, country }) =>
        client_ip ? (
          <>
            <Value field="ip" value={client_ip} entity={{ kind: 'ip', value: client_ip, gateway }} open={open}>
              <code>{client_ip}</code>
            </Value>{' '}
            {country && (
              <Value field="country" value={country} open={open}>
                <span className="faint">{country}</span>
              </Value>
            )}
          </>
        ) : (
          <span className="faint">–</span>
        ),
    },
    {
      id: 'latency',
      head: 'Latency',
      width: '66px',
      isNumber: true,
      cell: (call) => (call.latency_total_ms < 0 ? '–' : `${call.latency_total_ms} ms`),
    },
    { id: 'size', head: 'Size', width: '66px', isNumber: true, cell: (call) => bytes(call.response_bytes) },
    {
      id: 'request_size',
      head: 'Request size',
      width: '86px',
      isNumber: true,
      isExtra: true,
      cell: (call) => bytes(call.request_bytes),
    },
    valueColumn('gateway', 'Gateway', open, ({ gateway }) => gateway),
    valueColumn('source', 'Answered by', open, ({ answered_by }) => answered_by),
    valueColumn('type', 'Type', open, ({ response_type }) => response_type),
    {
      id: 'asn',
      head: 'Network',
      width: '90px',
      isExtra: true,
      cell: ({ asn, gateway }) =>
        asn ? (
          <Value
            field="asn"
            value={String(asn)}
            entity={{ kind: 'network', value: String(asn), gateway }}
            open={open}
          >{`AS${asn}`}</Value>
        ) : (
          <span className="faint">–</span>
        ),
    },
    valueColumn('network', 'Network kind', open, ({ network_class }) => network_class),
    valueColumn('agent', 'Program', open, ({ agent_family }) => agent_family),
  ];
  return columns.filter(
    ({ id, isExtra }) =>
      id !== (whose === 'network' ? 'asn' : whose) && !(isTight && (isExtra || SAID_BESIDE.includes(id))),
  );
}

/** A column of a value that a search finds, for whom chooses it. */
function valueColumn(
  field: string,
  head: string,
  open: OpenPivot,
  valueOf: (call: CallRow) => string | null,
): Column<CallRow> {
  return {
    id: field,
    head,
    width: 'minmax(80px, 0.8fr)',
    isExtra: true,
    cell: (call) => {
      const value = valueOf(call);
      return value ? <Value field={field} value={value} open={open} /> : <span className="faint">–</span>;
    },
  };
}
