// One call beside the page that it is listed on, with all that is known of it.
import { ActionIcon, Button, CopyButton, Drawer } from '@mantine/core';
import { IconCheck, IconChevronDown, IconChevronUp, IconCopy } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { KeyboardEvent } from 'react';

import { api, got, Refusal } from '../../api/client';
import type { Call, CallRow } from '../../api/types';
import { Loading, Trouble } from '../../parts/basics';
import { useFocusBack } from '../../parts/focus';
import { callId, callKey, useOpenCall } from '../../parts/openCall';
import { AboutCall } from './AboutCall';

const NONE: CallRow[] = [];

/** The call that the address names, if it names one. */
export function CallPanel({ rows = NONE }: { rows?: CallRow[] }) {
  const { key } = useOpenCall();
  return key === undefined ? null : <Opened id={key} rows={rows} />;
}

function Opened({ id, rows }: { id: string; rows: CallRow[] }) {
  const { open, close } = useOpenCall();
  useFocusBack(true);
  const found = useQuery({
    queryKey: ['call', id],
    queryFn: ({ signal }) => got(api.GET('/api/v1/calls/{id}', { params: { path: { id: callId(id) } }, signal })),
    // It never changes.
    staleTime: Infinity,
  });
  const call = found.data?.call as unknown as Call | undefined;
  const at = rows.findIndex((row) => callKey(row) === id);
  const [above, below] = at < 0 ? [] : [rows[at - 1], rows[at + 1]];
  const go = (row: CallRow | undefined) => row && open(callKey(row));
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'k') go(above);
    if (event.key === 'j') go(below);
  };
  // Locking the page's scrolling would need a style that a script writes, which the Content-Security-Policy forbids.
  return (
    <Drawer.Root
      opened
      position="right"
      size={600}
      lockScroll={false}
      transitionProps={{ duration: 80 }}
      onClose={close}
      onKeyDown={press}
    >
      <Drawer.Overlay backgroundOpacity={0.25} />
      <Drawer.Content className="call-panel">
        <Drawer.Header className="call-head">
          <Drawer.Title className="call-title">Call</Drawer.Title>
          {at >= 0 && (
            <>
              <Step words="The call above (k)" to={above} go={go} icon={IconChevronUp} />
              <Step words="The call below (j)" to={below} go={go} icon={IconChevronDown} />
            </>
          )}
          <div className="spread" />
          {call && <CopyJson call={call} />}
          <Drawer.CloseButton aria-label="Close" />
        </Drawer.Header>
        <Drawer.Body className="call-body">
          {call ? <AboutCall call={call} /> : found.error ? <Failed of={found} /> : <Loading lines={14} />}
        </Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}

function CopyJson({ call }: { call: Call }) {
  return (
    <CopyButton value={JSON.stringify(call, null, 2)}>
      {({ copied, copy }) => (
        <Button
          size="compact-sm"
          variant="default"
          leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
          onClick={copy}
        >
          {copied ? 'Copied' : 'Copy as JSON'}
        </Button>
      )}
    </CopyButton>
  );
}

/** Of a call that is not there nobody asks again. */
function Failed({ of }: { of: { error: unknown; refetch: () => Promise<unknown> } }) {
  const isGone = of.error instanceof Refusal && of.error.status === 404;
  return <Trouble error={of.error} again={isGone ? undefined : () => void of.refetch()} />;
}

interface StepProps {
  words: string;
  to: CallRow | undefined;
  go: (row: CallRow | undefined) => void;
  icon: typeof IconChevronUp;
}

function Step({ words, to, go, icon: Icon }: StepProps) {
  return (
    <ActionIcon
      variant="subtle"
      color="gray"
      size="sm"
      aria-label={words}
      title={words}
      // One that cannot go on keeps the focus, and the keys with it.
      aria-disabled={!to}
      data-disabled={!to || undefined}
      onClick={() => go(to)}
    >
      <Icon size={16} />
    </ActionIcon>
  );
}
