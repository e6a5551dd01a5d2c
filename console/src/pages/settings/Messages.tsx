// Messages to destinations: what was delivered, what waits, and what was given up.
import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { api, got, type Schemas } from '../../api/client';
import { useAddress } from '../../parts/address';
import { Command, Empty, Time } from '../../parts/basics';
import { Choice } from '../../parts/Choice';
import { type Column, PagedTable } from '../../parts/DataTable';
import { Field } from '../../parts/Field';
import { usePages, useReadAgain } from '../../parts/pages';
import { useMay } from '../../shell/session';

type Message = Schemas['OutboxRow'];

const STATES: { value: Message['state']; label: string; looks: string }[] = [
  { value: 'waiting', label: 'Waiting', looks: 'accent' },
  { value: 'delivered', label: 'Delivered', looks: 'good' },
  { value: 'dead', label: 'Given up', looks: 'danger' },
];

export default function Messages() {
  const [query] = useAddress();
  const state = STATES.find((one) => one.value === query.get('state'))?.value;
  const filter = { state, destination: query.get('destination') ?? undefined };
  const messages = usePages<Message>(['messages', filter], (cursor, signal) =>
    got(api.GET('/api/v1/notify', { params: { query: { ...filter, limit: 100, cursor } }, signal })),
  );
  useReadAgain(messages.refetch);
  const columns: Column<Message>[] = [
    { id: 'at', head: 'When', width: '120px', cell: (message) => <Time ms={message.at_ms} /> },
    {
      id: 'state',
      head: 'State',
      width: '90px',
      cell: (message) => (
        <span className={`tag ${STATES.find((one) => one.value === message.state)?.looks ?? ''}`}>
          {STATES.find((one) => one.value === message.state)?.label ?? message.state}
        </span>
      ),
    },
    { id: 'to', head: 'To', width: 'minmax(0, 1fr)', cell: (message) => message.destination },
    { id: 'event', head: 'About', width: 'minmax(0, 1fr)', cell: (message) => <span>{message.kind}</span> },
    { id: 'tries', head: 'Tries', width: '56px', isNumber: true, cell: (message) => message.attempts },
    {
      id: 'error',
      head: 'Last error',
      width: 'minmax(0, 2fr)',
      cell: (message) => (
        <span className="muted" title={message.last_error}>
          {message.last_error}
        </span>
      ),
    },
    {
      id: 'again',
      head: <span className="hidden-label">Send again</span>,
      width: '110px',
      isNumber: true,
      cell: (message) => <Again message={message} />,
    },
  ];
  return (
    <>
      <div className="filters">
        <Choice label="State" name="state" any="Any state" value={state} data={STATES} />
        <Field label="Destination" name="destination" isSearch />
      </div>
      <PagedTable
        pages={messages}
        label="Messages"
        columns={columns}
        rowKey={(message) => String(message.number)}
        empty={
          <Empty title={state || filter.destination ? 'No message fits these filters.' : 'No messages.'}>
            <p>A webhook in the configuration is told of alerts, of actions and of what goes wrong:</p>
            <Command>
              {'[[notify]]\nname = "on-call"\nkind = "webhook"\nurl = "https://hooks.example.com/outrider"'}
            </Command>
            <p>Then see whether one arrives:</p>
            <Command>outrider notify test on-call --config outrider.toml</Command>
          </Empty>
        }
      />
    </>
  );
}

function Again({ message }: { message: Message }) {
  const client = useQueryClient();
  const mayAct = useMay('responder');
  const sending = useMutation({
    mutationFn: () =>
      got(api.POST('/api/v1/notify/{number}/resend', { params: { path: { number: message.number } }, body: {} })),
    onSuccess: () => client.invalidateQueries({ queryKey: ['messages'] }),
  });
  if (!mayAct || message.state !== 'dead') return null;
  return (
    <Button
      size="compact-xs"
      variant="default"
      loading={sending.isPending}
      onClick={() => sending.mutate()}
      title={sending.error?.message}
    >
      {sending.error ? 'Failed, again' : 'Send again'}
    </Button>
  );
}
