// A statement to the lake, with the tables beside it, its answer as a table or a chart, and as a file.
import { Button, Menu, SegmentedControl } from '@mantine/core';
import { IconDownload, IconPlayerPlay, IconPlayerStop } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import type { EditorView } from '@codemirror/view';
import { useRef, useState } from 'react';

import { api, got } from '../../api/client';
import { useAddress } from '../../parts/address';
import { Command, Empty, Trouble } from '../../parts/basics';
import { OWN_WIDTHS } from '../../parts/widths';
import { bytes, count } from '../../parts/words';
import { useMay } from '../../shell/session';
import { Answer, canChart, Chart } from './Answer';
import { exportAs, FORMATS } from './exporting';
import { LazyEditor } from './LazyEditor';
import { SaveAsHunt } from './SaveAsHunt';
import { Tables } from './Tables';

const FIRST = `SELECT endpoint, count(*) AS calls, count(DISTINCT consumer_id) AS consumers
FROM calls
WHERE event_time >= now() - INTERVAL '1 hour'
GROUP BY endpoint
ORDER BY calls DESC`;

export function Sql() {
  const [query, change] = useAddress();
  const said = query.get('statement') ?? '';
  const [statement, setStatement] = useState(said || FIRST);
  const view = query.get('view') === 'chart' ? 'chart' : 'table';
  const mayHunt = useMay('analyst');
  // What the columns are called is what somebody wrote: none of that stays behind in the browser.
  const [widths, setWidths] = useState(OWN_WIDTHS);
  const stop = useRef<AbortController>(undefined);
  const editor = useRef<EditorView>(null);
  const insert = (name: string) => {
    editor.current?.dispatch(editor.current.state.replaceSelection(name));
    editor.current?.focus();
  };
  const asking = useMutation({
    mutationFn: async (asked: string) => {
      stop.current = new AbortController();
      change({ statement: asked });
      const began = performance.now();
      const table = await got(api.POST('/api/v1/query', { body: { statement: asked }, signal: stop.current.signal }));
      return { table, tookMs: performance.now() - began };
    },
  });
  const exporting = useMutation({ mutationFn: (format: (typeof FORMATS)[number]) => exportAs(statement, format) });
  const isStopped = asking.error instanceof DOMException;
  const answer = asking.data?.table;
  const run = (asked: string) => {
    if (!asking.isPending && asked.trim()) asking.mutate(asked);
  };
  return (
    <div className="sql-page">
      <Tables insert={insert} />
      <div className="sql-main">
        <LazyEditor statement={statement} change={setStatement} run={run} viewRef={editor} />
        <div className="filters">
          {asking.isPending ? (
            <Button
              size="xs"
              variant="default"
              leftSection={<IconPlayerStop size={14} />}
              onClick={() => stop.current?.abort()}
            >
              Stop
            </Button>
          ) : (
            <Button
              size="xs"
              leftSection={<IconPlayerPlay size={14} />}
              onClick={() => run(statement)}
              disabled={!statement.trim()}
            >
              Run
            </Button>
          )}
          <span className="faint">Ctrl Enter</span>
          {answer && (
            <span className="muted number" role="status">
              {count(answer.rows.length)} rows{answer.is_truncated ? ', cut at the limit' : ''} · read{' '}
              {count(answer.rows_read)} rows, {bytes(answer.bytes_read)} · {Math.round(asking.data!.tookMs)} ms
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
          {mayHunt && <SaveAsHunt by="sql" text={statement} />}
          <Menu position="bottom-end">
            <Menu.Target>
              <Button
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
        {(exporting.error ?? (isStopped ? null : asking.error)) && (
          <div style={{ padding: '16px 24px' }}>
            <Trouble error={exporting.error ?? asking.error} />
          </div>
        )}
        {answer && view === 'chart' && canChart(answer) && <Chart table={answer} />}
        {answer && (view === 'table' || !canChart(answer)) && (
          <Answer table={answer} sizing={{ widths, change: setWidths }} />
        )}
        {!answer && !asking.error && (
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
