// A statement to the lake, with the tables beside it, its answer as a table or a chart, and as a file.
import { Button, Kbd, Menu, SegmentedControl } from '@mantine/core';
import { IconDownload, IconPlayerPlay, IconPlayerStop } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { EditorView } from '@codemirror/view';
import { useEffect, useRef, useState } from 'react';

import { api, got } from '../../api/client';
import { useAddress } from '../../parts/address';
import { Command, Empty, Loading, Time, Trouble } from '../../parts/basics';
import { OWN_WIDTHS } from '../../parts/widths';
import { bytes, count, counted } from '../../parts/words';
import { useMay } from '../../shell/session';
import { Answer, canChart, Chart } from './Answer';
import { exportAs, FORMATS } from './exporting';
import { LazyEditor } from './LazyEditor';
import { canBeHunt } from './schema';
import { SaveAsHunt } from './SaveAsHunt';
import { type Insert, Tables } from './Tables';

const FIRST = `SELECT endpoint, count(*) AS calls, count(DISTINCT consumer_id) AS consumers
FROM calls
WHERE event_time >= now() - INTERVAL '1 hour'
GROUP BY endpoint
ORDER BY calls DESC`;

/** The answer to a statement, asked for once by each arrival at it: nothing that happens meanwhile is a reason to ask again. */
function useAnswer(statement: string) {
  return useQuery({
    queryKey: ['answer', statement],
    queryFn: async ({ signal }) => {
      const began = performance.now();
      const table = await got(api.POST('/api/v1/query', { body: { statement }, signal }));
      return { table, tookMs: performance.now() - began, atMs: Date.now() };
    },
    enabled: statement.trim() !== '',
    staleTime: 'static',
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
    refetchOnReconnect: false,
    structuralSharing: false,
  });
}

export function Sql() {
  if (useMay('viewer')) return <Ask />;
  return (
    <Empty title="You may not ask the lake.">
      <p>Statements are for viewers and everybody who may do more. An admin of outrider gives roles.</p>
    </Empty>
  );
}

function Ask() {
  const client = useQueryClient();
  const [query, change] = useAddress();
  // What is asked is in the address, and whoever opens that asks it.
  const said = query.get('statement') ?? '';
  const [written, setWritten] = useState({ said, ran: said, statement: said || FIRST, edition: 0 });
  if (written.said !== said) {
    // What was run from here is in the field already, and an address without a statement is no reason to take one away.
    const isElsewhere = said !== '' && said !== written.ran;
    setWritten({
      said,
      ran: said,
      statement: isElsewhere ? said : written.statement,
      edition: written.edition + (isElsewhere ? 1 : 0),
    });
  }
  const { statement, edition } = written;
  const setStatement = (next: string) => setWritten((before) => ({ ...before, statement: next }));
  const view = query.get('view') === 'chart' ? 'chart' : 'table';
  const mayHunt = useMay('analyst');
  // What the columns are called is what somebody wrote: none of that stays behind in the browser.
  const [widths, setWidths] = useState(OWN_WIDTHS);
  const editor = useRef<EditorView>(null);
  const insert: Insert = (text, before = 0) => {
    const view = editor.current;
    if (!view) return;
    const { from, to } = view.state.selection.main;
    const anchor = from + text.length - before;
    view.dispatch({ changes: { from, to, insert: text }, selection: { anchor } });
    view.focus();
  };
  const asking = useAnswer(said);
  // The file has what is shown. Where nothing was asked, what is written is.
  const exported = said.trim() ? said : statement;
  const exporting = useMutation({ mutationFn: (format: (typeof FORMATS)[number]) => exportAs(exported, format) });
  const answer = asking.isFetching ? undefined : asking.data?.table;
  const error = exporting.error ?? (asking.isFetching ? null : asking.error);
  // The address follows a moment later: who runs a statement twice meanwhile means it once.
  const onItsWay = useRef(said);
  useEffect(() => {
    onItsWay.current = said;
  }, [said]);
  const run = (asked: string) => {
    if (asking.isFetching || !asked.trim()) return;
    exporting.reset();
    if (asked === said) {
      void asking.refetch();
    } else if (asked !== onItsWay.current) {
      onItsWay.current = asked;
      setWritten((before) => ({ ...before, ran: asked }));
      change({ statement: asked }, true);
    }
  };
  // What is drawn follows the field a moment later: who types and presses at once means what they typed.
  const runWritten = () => run(editor.current?.state.doc.toString() ?? statement);
  const stop = () => void client.cancelQueries({ queryKey: ['answer', said] });
  return (
    <div className="sql-page">
      <Tables insert={insert} />
      <div className="sql-main">
        <LazyEditor statement={statement} edition={edition} change={setStatement} run={run} viewRef={editor} />
        <div className="filters">
          {asking.isFetching ? (
            <Button size="xs" variant="default" leftSection={<IconPlayerStop size={14} />} onClick={stop}>
              Stop
            </Button>
          ) : (
            <Button
              size="xs"
              leftSection={<IconPlayerPlay size={14} />}
              onClick={runWritten}
              disabled={!statement.trim()}
            >
              Run
            </Button>
          )}
          <Kbd size="xs">Ctrl Enter</Kbd>
          {answer && (
            <span className="muted number" role="status">
              {counted(answer.rows.length, 'row')}
              {answer.is_truncated ? ', cut at the limit' : ''} · read {counted(answer.rows_read, 'row')},{' '}
              {bytes(answer.bytes_read)} · {count(Math.round(asking.data!.tookMs))} ms · <Time ms={asking.data!.atMs} />
            </span>
          )}
          <div className="spread" />
          {answer && canChart(answer) && (
            <SegmentedControl
              size="xs"
              value={view}
              onChange={(chosen) => change({ view: chosen === 'chart' ? chosen : null })}
              data={[
                { value: 'table', label: 'Table' },
                { value: 'chart', label: 'Chart' },
              ]}
            />
          )}
          {mayHunt &&
            (canBeHunt(statement) ? (
              <SaveAsHunt by="sql" text={statement} />
            ) : (
              <span
                className="faint"
                title="A hunt asks about the calls of its window: FROM window_calls in place of calls or events, with the columns entity_kind, entity and gateway in its answer"
              >
                A hunt reads window_calls
              </span>
            ))}
          <Menu position="bottom-end">
            <Menu.Target>
              <Button
                title={exported === statement ? undefined : 'Of the statement whose answer is shown'}
                size="xs"
                variant="default"
                leftSection={<IconDownload size={14} />}
                loading={exporting.isPending}
              >
                Export
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              {FORMATS.map((format) => (
                <Menu.Item key={format} onClick={() => exporting.mutate(format)}>
                  {{ csv: 'CSV', json: 'JSON lines', parquet: 'Parquet' }[format]}
                </Menu.Item>
              ))}
            </Menu.Dropdown>
          </Menu>
        </div>
        {error && (
          <div style={{ padding: '16px 24px' }}>
            <Trouble error={error} />
          </div>
        )}
        {asking.isFetching && (
          <div style={{ padding: '16px 24px' }}>
            <Loading lines={8} />
          </div>
        )}
        {answer && view === 'chart' && canChart(answer) && <Chart table={answer} />}
        {answer && (view === 'table' || !canChart(answer)) && (
          <Answer table={answer} sizing={{ widths, change: setWidths }} />
        )}
        {!answer && !asking.isFetching && !asking.error && (
          <Empty title="Ask the lake.">
            <p>
              One SELECT over the tables on the left. It can read and change nothing; its time, memory and rows are
              limited. Each statement is in the audit log. The same on outrider’s machine:
            </p>
            <Command>{'outrider query --config outrider.toml "SELECT count(*) FROM calls"'}</Command>
          </Empty>
        )}
      </div>
    </div>
  );
}
