// One saved hunt: what it asks, how often, what it raises; and what it finds now.
import { Button, Input, Select, Switch, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { EditorView } from '@codemirror/view';
import { type FormEvent, useRef, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';

import { api, got, type Schemas } from '../../api/client';
import { SEVERITIES } from '../../api/types';
import { useAddress } from '../../parts/address';
import { EntityLink, Loading, PageBody, Panel, Time, Trouble } from '../../parts/basics';
import { SmallTable } from '../../parts/DataTable';
import { ReasonDialog } from '../../parts/Dialog';
import { bytes, byWhom, count, counted } from '../../parts/words';
import { Named } from '../../parts/Named';
import { NumberField } from '../../parts/NumberField';
import { NameTaken, saveNew, troubleWithName, wasFound } from '../../parts/naming';
import { useMay } from '../../shell/session';
import { LazyEditor } from './LazyEditor';

type Hunt = Schemas['Hunt'];
type Row = Schemas['HuntRow'];

const EVERY = ['1m', '5m', '15m', '1h', '6h', '1d'];
const OF_STATEMENT = 'It reads window_calls, and its answer has the columns entity_kind, entity and gateway.';
const NEW_HUNT: Hunt = {
  name: '',
  description: '',
  ask: { search: '' },
  every: '5m',
  look_back: null,
  threshold: 1,
  severity: 'medium',
  gateways: [],
  enabled: true,
};

export function HuntForm() {
  const { name } = useParams();
  const [query] = useAddress();
  const known = useQuery({
    queryKey: ['hunt', name],
    queryFn: ({ signal }) => got(api.GET('/api/v1/hunts/{name}', { params: { path: { name: name ?? '' } }, signal })),
    enabled: name !== undefined,
    refetchOnWindowFocus: false,
  });
  const [search, sql] = [query.get('search'), query.get('sql')];
  const begin: Hunt = known.data?.hunt ?? {
    ...NEW_HUNT,
    ask: sql !== null ? { sql } : { search: withoutLast(search ?? '') },
  };
  return (
    <PageBody label={name ?? 'New hunt'}>
      {known.error && <Trouble error={known.error} />}
      {name !== undefined && !known.data ? (
        !known.error && <Loading />
      ) : (
        <Form key={name ?? 'new'} row={known.data} begin={begin} />
      )}
    </PageBody>
  );
}

/** A hunt has its own window, so its search says nothing of times. */
function withoutLast(search: string): string {
  return search.replace(/\blast \w+/g, '').trim();
}

function isHunt(name: string): Promise<boolean> {
  return wasFound(got(api.GET('/api/v1/hunts/{name}', { params: { path: { name } } })));
}

function Form({ row, begin }: { row?: Row; begin: Hunt }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const mayHunt = useMay('analyst');
  const [hunt, setHunt] = useState(begin);
  const [isDeleting, setDeleting] = useState(false);
  const editor = useRef<EditorView>(null);
  const set = (part: Partial<Hunt>) => setHunt((before) => ({ ...before, ...part }));
  const params = { path: { name: hunt.name } };
  const saving = useMutation({
    mutationFn: () => {
      const save = (headers = {}) => got(api.PUT('/api/v1/hunts/{name}', { params, body: hunt, headers }));
      return row ? save() : saveNew(hunt.name, isHunt, save);
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['hunts'] });
      await client.invalidateQueries({ queryKey: ['hunt', hunt.name] });
      await navigate('/hunt/saved');
    },
  });
  const running = useMutation({ mutationFn: () => got(api.POST('/api/v1/hunts/{name}/run', { params, body: {} })) });
  const isSql = 'sql' in hunt.ask;
  const lacksStatement = 'sql' in hunt.ask && hunt.ask.sql.trim() === '';
  const [wasMissed, setMissed] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // The browser looks into its own fields alone.
    setMissed(lacksStatement);
    if (lacksStatement) editor.current?.focus();
    else saving.mutate();
  };
  return (
    <form className="alert" onSubmit={submit}>
      <fieldset className="stack policy-fields" disabled={!mayHunt}>
        <Named
          name={hunt.name}
          description={hunt.description}
          shown="shown beside its alerts"
          isSaved={row !== undefined}
          trouble={troubleWithName(saving.error, hunt.name)}
          set={set}
        />
        <Select
          label="Asks with"
          w={180}
          allowDeselect={false}
          value={isSql ? 'sql' : 'search'}
          data={[
            { value: 'search', label: 'a search' },
            { value: 'sql', label: 'a statement' },
          ]}
          onChange={(value) => set({ ask: value === 'sql' ? { sql: '' } : { search: '' } })}
        />
        {'sql' in hunt.ask ? (
          <Input.Wrapper
            label="Statement"
            labelElement="div"
            description={OF_STATEMENT}
            error={wasMissed && lacksStatement && <span role="alert">The statement is missing.</span>}
            required
          >
            <div className="editor-field">
              <LazyEditor
                statement={hunt.ask.sql}
                change={(sql) => set({ ask: { sql } })}
                viewRef={editor}
                isReadOnly={!mayHunt}
                description={OF_STATEMENT}
                isRequired
                isOfHunt
              />
            </div>
          </Input.Wrapper>
        ) : (
          <Textarea
            className="mono-field"
            label="Search"
            description="It is answered by who made the calls: the consumer, else the credential, else the address."
            required
            autosize
            value={hunt.ask.search}
            onChange={(event) => set({ ask: { search: event.currentTarget.value } })}
          />
        )}
        <div className="row wraps" style={{ alignItems: 'flex-end' }}>
          <Select
            label="Every"
            w={110}
            allowDeselect={false}
            value={hunt.every}
            data={EVERY.includes(hunt.every) ? EVERY : [...EVERY, hunt.every]}
            onChange={(value) => value && set({ every: value })}
          />
          <TextInput
            label="Looks back"
            placeholder="to the last run"
            w={140}
            value={hunt.look_back ?? ''}
            onChange={(event) => set({ look_back: event.currentTarget.value.trim() || null })}
          />
          <NumberField
            label={isSql ? 'Rows, at least' : 'Calls, at least'}
            w={130}
            min={1}
            required
            value={hunt.threshold}
            change={(threshold) => threshold !== null && set({ threshold })}
          />
          <Select
            label="Severity"
            w={130}
            allowDeselect={false}
            value={hunt.severity}
            data={SEVERITIES}
            onChange={(value) => value && set({ severity: value })}
          />
          <Switch
            label="On"
            mb={8}
            checked={hunt.enabled}
            onChange={(event) => set({ enabled: event.currentTarget.checked })}
          />
        </div>
        {saving.error && !(saving.error instanceof NameTaken) && <Trouble error={saving.error} />}
        {mayHunt && (
          <div className="row">
            <Button type="submit" loading={saving.isPending}>
              Save
            </Button>
            {row && (
              <Button
                variant="default"
                loading={running.isPending}
                onClick={() => running.mutate()}
                title="What is saved is asked, and raises nothing"
              >
                Run it now
              </Button>
            )}
            <Button variant="subtle" color="gray" component={Link} to="/hunt/saved">
              Cancel
            </Button>
            <div className="spread" />
            {row && (
              <Button variant="subtle" color="red" onClick={() => setDeleting(true)}>
                Delete
              </Button>
            )}
          </div>
        )}
        {running.error && <Trouble error={running.error} />}
        {running.data && <Found answer={running.data} />}
      </fieldset>
      {row && <Facts row={row} />}
      {isDeleting && (
        <ReasonDialog
          title={`Delete ${hunt.name}`}
          explanation="Its alerts stay."
          action="Delete"
          isDangerous
          needsNoReason
          close={() => setDeleting(false)}
          decide={async () => {
            await got(api.DELETE('/api/v1/hunts/{name}', { params }));
            await client.invalidateQueries({ queryKey: ['hunts'] });
            await navigate('/hunt/saved');
          }}
        />
      )}
    </form>
  );
}

function Found({ answer }: { answer: Schemas['HuntAnswer'] }) {
  const { hits, figures } = answer;
  return (
    <Panel
      title="What it finds now"
      flush
      after={
        <span className="faint">{`${counted(figures.rows, 'row')}, ${figures.took_ms} ms, ${bytes(figures.bytes_read)} read`}</span>
      }
    >
      {hits.length === 0 ? (
        <p className="muted" style={{ padding: 16 }}>
          Nobody, in the calls of its window.
        </p>
      ) : (
        <SmallTable
          label="Found"
          rows={hits}
          rowKey={(hit) => `${hit.entity.kind} ${hit.entity.value} ${hit.entity.gateway}`}
          columns={[
            { id: 'who', head: 'Who', width: 'minmax(0, 1fr)', cell: (hit) => <EntityLink entity={hit.entity} /> },
            { id: 'gateway', head: 'Gateway', width: '120px', cell: (hit) => hit.entity.gateway },
            { id: 'rows', head: 'Rows', width: '70px', isNumber: true, cell: (hit) => count(hit.rows) },
            {
              id: 'shown',
              head: 'What',
              width: 'minmax(0, 1.4fr)',
              cell: (hit) => <span title={hit.shown}>{hit.shown}</span>,
            },
            { id: 'when', head: 'When', width: '110px', cell: (hit) => <Time ms={hit.event_ms} /> },
          ]}
        />
      )}
    </Panel>
  );
}

function Facts({ row }: { row: Row }) {
  const run = row.last_run;
  return (
    <Panel title="How it does">
      <dl className="facts">
        <dt>Owner</dt>
        <dd>{byWhom(row.owner)}</dd>
        <dt>Changed</dt>
        <dd>
          <Time ms={row.changed_ms} /> by {byWhom(row.changed_by)}
        </dd>
        <dt>Last run</dt>
        <dd>{run ? <Time ms={run.at_ms} /> : 'not yet'}</dd>
        {run?.error && (
          <>
            <dt>Failed</dt>
            <dd className="bad">{run.error}</dd>
          </>
        )}
        {run?.figures && (
          <>
            <dt>Found</dt>
            <dd>
              {count(run.figures.entities)} in {counted(run.figures.rows, 'row')}, {run.figures.took_ms} ms
            </dd>
          </>
        )}
        <dt>Alerts</dt>
        <dd>
          <Link to={`/alerts?state=all&detector=${encodeURIComponent(`hunt:${row.hunt.name}`)}`}>of this hunt</Link>
        </dd>
      </dl>
    </Panel>
  );
}
