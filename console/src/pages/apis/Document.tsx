// The OpenAPI document that a service's owner gave: read in the browser, sent as it is, and compared by outrider.
import { Button } from '@mantine/core';
import { IconPin, IconTrash, IconUpload } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type ChangeEvent, useRef, useState } from 'react';

import { api, got, type Schemas } from '../../api/client';
import type { ApiRow } from '../../api/types';
import { Command, type Fact, Facts, Panel, Time, Trouble } from '../../parts/basics';
import { ReasonDialog } from '../../parts/Dialog';
import { byWhom, bytes, count, counted } from '../../parts/words';
import { useMay } from '../../shell/session';
import { DecideDialog } from './DecideDialog';
import { LeftOut } from './LeftOut';
import { driftKey, importCommand, nameOf, type ServiceKey } from './service';

/** As the API takes it at most. */
export const DOCUMENT_BYTES_MAX = 4 * 1024 * 1024;

function useChange(key: ServiceKey) {
  const client = useQueryClient();
  return () =>
    Promise.all([
      client.invalidateQueries({ queryKey: ['apis'] }),
      client.invalidateQueries({ queryKey: driftKey(key) }),
    ]);
}

async function textOf(file: File): Promise<string> {
  if (file.size > DOCUMENT_BYTES_MAX) {
    throw new Error(`${file.name} has ${bytes(file.size)}; a document has at most ${bytes(DOCUMENT_BYTES_MAX)}`);
  }
  return file.text();
}

interface Props {
  row: ApiRow;
  all: ApiRow[];
  /** What is broken in the document, as it was read last. */
  warnings: Schemas['Warning'][];
}

export function OwnersDocument({ row, all, warnings }: Props) {
  const key: ServiceKey = { gateway: row.gateway, workspace: row.workspace, service: row.service };
  const mayChange = useMay('analyst');
  const mayDecide = useMay('responder');
  const changed = useChange(key);
  const field = useRef<HTMLInputElement>(null);
  const [isDeleting, setDeleting] = useState(false);
  const [isTaking, setTaking] = useState(false);
  const giving = useMutation({
    mutationFn: async (file: File) => {
      const text = await textOf(file);
      const read = await got(api.PUT('/api/v1/apis/document', { params: { query: key }, body: { text } }));
      await changed();
      return read;
    },
  });
  const choose = ({ currentTarget }: ChangeEvent<HTMLInputElement>) => {
    const file = currentTarget.files?.[0];
    if (file) giving.mutate(file);
    // The same file is chosen again once it is mended.
    currentTarget.value = '';
  };
  const { document } = row;
  const more = giving.data?.warnings_left_out ?? 0;
  return (
    <Panel
      title="Document of its owner"
      after={
        mayChange && (
          <>
            {document && (
              <Button
                size="xs"
                variant="default"
                leftSection={<IconTrash size={14} />}
                onClick={() => setDeleting(true)}
              >
                Delete
              </Button>
            )}
            <Button
              size="xs"
              variant={document ? 'default' : 'filled'}
              leftSection={<IconUpload size={14} />}
              loading={giving.isPending}
              onClick={() => field.current?.click()}
            >
              {document ? 'Replace…' : 'Upload…'}
            </Button>
            <input
              ref={field}
              type="file"
              hidden
              aria-label="OpenAPI document"
              accept=".json,.yaml,.yml,application/json,application/yaml"
              onChange={choose}
            />
          </>
        )
      }
    >
      <div className="stack">
        {document ? <Facts facts={factsOf(document)} /> : <NoDocument mayChange={mayChange} row={row} all={all} />}
        {giving.error && <Trouble error={giving.error} />}
        {giving.data && !giving.error && (
          <p role="status" className="ok">
            {counted(giving.data.operations, 'operation')} read. It is compared from now on.
          </p>
        )}
        {document && mayDecide && (
          <div>
            <Button size="xs" variant="default" leftSection={<IconPin size={14} />} onClick={() => setTaking(true)}>
              Take its paths as templates…
            </Button>
          </div>
        )}
        {document && warnings.length > 0 && (
          <LeftOut warnings={warnings} more={more}>
            {counted(warnings.length + more, 'part')} of it {warnings.length + more === 1 ? 'was' : 'were'} left out
          </LeftOut>
        )}
      </div>
      {isTaking && <TakePaths of={key} close={() => setTaking(false)} />}
      {isDeleting && (
        <ReasonDialog
          title={`Delete the document of ${nameOf(row)}`}
          explanation="What is learned stays; only the gateway’s routes are compared then."
          action="Delete"
          isDangerous
          needsNoReason
          close={() => setDeleting(false)}
          decide={async () => {
            await got(api.DELETE('/api/v1/apis/document', { params: { query: key } }));
            giving.reset();
            await changed();
          }}
        />
      )}
    </Panel>
  );
}

/** Each path of the document becomes a decision, which is listed and taken back as those of people are. */
function TakePaths({ of: key, close }: { of: ServiceKey; close: () => void }) {
  return (
    <DecideDialog
      title="Take its paths as templates"
      explanation="Each path of the document stands as it is written there, whatever is learned, and calls whose paths fit belong to it. That is listed as decided, and can be taken back."
      action="Take them"
      form={{ document: key, decisions: [], taken_back: [] }}
      close={close}
    />
  );
}

function factsOf({ title, version, operations, changed_ms, changed_by }: Schemas['DocumentRow']): Fact[] {
  return [
    ['Title', title],
    ['Version', version],
    ['Operations', count(operations)],
    [
      'Given',
      <span key="given">
        <Time ms={changed_ms} /> <span className="muted">by {byWhom(changed_by)}</span>
      </span>,
    ],
  ];
}

function NoDocument({ mayChange, row, all }: { mayChange: boolean; row: ApiRow; all: ApiRow[] }) {
  return (
    <>
      <p className="muted">
        {mayChange
          ? 'There is none yet. OpenAPI 3.0 or 3.1, as JSON or YAML, at most 4 MiB; it changes nothing of what is learned. In a terminal:'
          : 'There is none yet. An analyst gives it here, or whoever has the machine in a terminal:'}
      </p>
      <Command>{importCommand(row, all)}</Command>
    </>
  );
}
