// Calls that a finding shows. A finding does not say where they are in the log, so one that is to be opened is looked for.
import { useMutation } from '@tanstack/react-query';
import { useEffect, useMemo, useRef } from 'react';
import { Link } from 'react-router';

import { api, got, Refusal } from '../../api/client';
import type { CallRow, SampleCall } from '../../api/types';
import { Panel, StatusCode, Time, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { callKey, useOpenCall } from '../../parts/openCall';
import { term } from '../../parts/search';
import { CallPanel } from '../call/CallPanel';

interface Wanted {
  sample: SampleCall;
  /** The call that is open. */
  from?: string;
}

export function Samples({ samples, gateway }: { samples: SampleCall[]; gateway: string }) {
  const { key, open } = useOpenCall();
  // What somebody asked for last, and the call that was open then. Answers come in any order, and one that comes late opens nothing
  // in the place of what was opened, or closed, since.
  const wanted = useRef<Wanted>(undefined);
  const { mutate, error, isPending } = useMutation({
    mutationFn: ({ sample }: Wanted) => findCall(sample, gateway),
    onMutate: (asked) => void (wanted.current = asked),
    onSuccess: (call, asked) => {
      if (wanted.current === asked && asked.from === key) open(callKey(call));
    },
  });
  // The answer comes also where another alert is looked at by then.
  useEffect(() => () => void (wanted.current = undefined), []);
  const columns = useMemo(() => columnsOf((sample) => mutate({ sample, from: key })), [mutate, key]);
  if (samples.length === 0) return null;
  return (
    <Panel title="Sample calls" flush after={isPending && <span className="faint">Looking for the call…</span>}>
      <SmallTable
        label="Sample calls"
        rows={samples}
        columns={columns}
        rowKey={(call) => `${call.event_ms} ${call.request_id} ${call.path}`}
      />
      {error && (
        <div style={{ padding: '10px 16px' }}>
          <Trouble error={error} />
        </div>
      )}
      <CallPanel />
    </Panel>
  );
}

/** The call in the lake that a sample is of. */
async function findCall({ event_ms, request_id, method, path, status }: SampleCall, gateway: string): Promise<CallRow> {
  // Some gateways log no ids, and a path may have what a search understands otherwise: the time finds them, too.
  const q = [term('gateway', gateway), request_id && term('request_id', request_id)].filter(Boolean).join(' ');
  const query = { q, since_ms: event_ms, until_ms: event_ms + 1, limit: 500 };
  const { items } = await got(api.GET('/api/v1/search', { params: { query } }));
  const found = items.find((one) => one.method === method && one.path === path && one.status === status);
  if (found) return found;
  const hint = 'its day may be over; lake.retention_days says how long calls are kept';
  throw new Refusal(404, 'The lake does not have this call.', undefined, hint);
}

function columnsOf(open: (sample: SampleCall) => void): Column<SampleCall>[] {
  return [
    {
      id: 'at',
      head: 'When',
      width: '120px',
      cell: (call) => (
        <button type="button" className="link-button whole" aria-haspopup="dialog" onClick={() => open(call)}>
          <Time ms={call.event_ms} />
        </button>
      ),
    },
    { id: 'method', head: 'Method', width: '64px', cell: (call) => <code>{call.method}</code> },
    { id: 'path', head: 'Path', width: 'minmax(0, 1fr)', cell: (call) => <code title={call.path}>{call.path}</code> },
    { id: 'status', head: 'Status', width: '52px', cell: (call) => <StatusCode status={call.status} /> },
    {
      id: 'request',
      head: 'Request',
      width: '120px',
      cell: (call) =>
        call.request_id ? (
          <Link to={`/hunt?q=${encodeURIComponent(`request_id:${call.request_id}`)}`} title={call.request_id}>
            <code>{call.request_id.slice(0, 12)}…</code>
          </Link>
        ) : (
          '–'
        ),
    },
  ];
}
