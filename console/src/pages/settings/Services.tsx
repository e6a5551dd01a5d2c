// Collectors, functions and responders elsewhere: their identities, and when they were last heard from.
import { Button, Select, TagsInput, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, got } from '../../api/client';
import { useWhileWatched } from '../../live/now';
import { Command, Empty, Loading, Panel, Time, Trouble, useNow } from '../../parts/basics';
import { SmallTable } from '../../parts/DataTable';
import { Dialog } from '../../parts/Dialog';
import { length } from '../../parts/words';
import { MadeSecret, revokeColumn, RevokeDialog } from './Made';
import { accountsOf, lagMsOf, stateOf, troubleOf, troubleWords } from './serviceState';

const KINDS = ['collector', 'function', 'responder'] as const;
type Kind = (typeof KINDS)[number];

export default function Services() {
  const services = useQuery({
    queryKey: ['services'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/services', { signal })),
    refetchInterval: useWhileWatched(15_000),
  });
  const now = useNow();
  const [isMaking, setMaking] = useState(false);
  const [made, setMade] = useState<{ name: string; token: string }>();
  const [revoking, setRevoking] = useState<string>();
  if (services.error) return <Trouble error={services.error} again={() => void services.refetch()} />;
  if (!services.data) return <Loading />;
  const rows = services.data.items;
  return (
    <>
      <Panel
        title="Collectors, functions and responders elsewhere"
        flush
        after={
          <Button size="xs" onClick={() => setMaking(true)}>
            Make an identity
          </Button>
        }
      >
        {rows.length === 0 ? (
          <Empty title="Everything runs in one process.">
            <p>A collector or responder on another machine needs an identity, made here, and then runs there:</p>
            <Command>outrider collector --config collector.toml</Command>
          </Empty>
        ) : (
          <SmallTable
            label="Services"
            rows={rows}
            rowKey={(service) => service.name}
            columns={[
              { id: 'name', head: 'Name', width: 'minmax(0, 1fr)', cell: (service) => <strong>{service.name}</strong> },
              { id: 'kind', head: 'Kind', width: '100px', cell: (service) => service.kind },
              {
                id: 'gateways',
                head: 'Gateways',
                width: 'minmax(0, 1fr)',
                cell: (service) => service.gateways.join(', '),
              },
              {
                id: 'state',
                head: 'State',
                width: '90px',
                cell: (service) => {
                  const [looks, words] = stateOf(service, now);
                  return <span className={`tag ${looks}`}>{words}</span>;
                },
              },
              {
                id: 'seen',
                head: 'Heard from',
                width: '110px',
                cell: (service) => <Time ms={service.seen_ms} relative />,
              },
              {
                id: 'lag',
                head: 'Lag',
                width: '70px',
                isNumber: true,
                cell: (service) => {
                  const lag = lagMsOf(service);
                  return lag === undefined ? (
                    ''
                  ) : (
                    <span title={accountsOf(service)}>{lag === 0 ? 'none' : length(lag)}</span>
                  );
                },
              },
              {
                id: 'trouble',
                head: 'Last trouble',
                width: 'minmax(0, 1.2fr)',
                cell: (service) => {
                  const trouble = troubleOf(service);
                  if (!trouble) return <span className="faint">none</span>;
                  const lasts = trouble.until_ms === undefined;
                  return (
                    <span className={lasts ? 'bad' : 'muted'} title={troubleWords(trouble)}>
                      <Time ms={trouble.since_ms} />: {troubleWords(trouble)}
                    </span>
                  );
                },
              },
              revokeColumn(setRevoking),
            ]}
          />
        )}
      </Panel>
      {isMaking && <Make close={() => setMaking(false)} made={setMade} />}
      {made && <MadeSecret name={made.name} secret={made.token} close={() => setMade(undefined)} />}
      {revoking && (
        <RevokeDialog
          name={revoking}
          explanation="It is refused from now on. What it holds back is lost when its own directory goes."
          list="services"
          revoke={() => got(api.DELETE('/api/v1/services/{name}', { params: { path: { name: revoking } } }))}
          close={() => setRevoking(undefined)}
        />
      )}
    </>
  );
}

function Make({ close, made }: { close: () => void; made: (made: { name: string; token: string }) => void }) {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [kind, setKind] = useState<Kind>('collector');
  const [gateways, setGateways] = useState<string[]>([]);
  const making = useMutation({
    mutationFn: () => got(api.POST('/api/v1/services', { body: { name, kind, gateways } })),
    onSuccess: async (service) => {
      await client.invalidateQueries({ queryKey: ['services'] });
      close();
      made(service);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <Dialog title="Make an identity" open close={close}>
      <form className="stack" onSubmit={submit}>
        <TextInput
          label="Name"
          required
          data-autofocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <Select
          label="Kind"
          allowDeselect={false}
          value={kind}
          data={KINDS}
          onChange={(value) => value && setKind(value)}
        />
        <TagsInput label="Gateways" description="those that it speaks for" value={gateways} onChange={setGateways} />
        {making.error && <Trouble error={making.error} />}
        <Button type="submit" loading={making.isPending}>
          Make it
        </Button>
      </form>
    </Dialog>
  );
}
