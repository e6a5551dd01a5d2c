// How a call is shown in a table: each value leads on.
import type { CallRow, EntityKind } from '../api/types';
import { StatusCode, Time } from './basics';
import type { Column } from './DataTable';
import { CallLink } from './openCall';
import { type OpenPivot, Value } from './Pivot';
import { bytes } from './words';

/** What the call beside them says, and they need not where there is little room. */
const SAID_BESIDE = ['service', 'latency', 'size'];

/** Without the column that would say in every row whose calls they are. */
export function callColumns(open: OpenPivot, whose?: EntityKind, isTight = false): Column<CallRow>[] {
  const columns: Column<CallRow>[] = [
    {
      id: 'time',
      head: 'Time',
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
  ];
  return columns.filter(({ id }) => id !== whose && !(isTight && SAID_BESIDE.includes(id)));
}
