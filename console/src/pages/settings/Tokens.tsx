// Tokens of programs.
import { Button, Select, TagsInput, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, got } from '../../api/client';
import { type Role, ROLES } from '../../api/types';
import { Command, Empty, Loading, Panel, Time, Trouble } from '../../parts/basics';
import { SmallTable } from '../../parts/DataTable';
import { Dialog } from '../../parts/Dialog';
import { byWhom } from '../../parts/words';
import { MadeSecret, revokeColumn, RevokeDialog } from './Made';

const DAYS = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '365', label: 'one year' },
  { value: '0', label: 'until it is revoked' },
];

export default function Tokens() {
  const tokens = useQuery({
    queryKey: ['tokens'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/tokens', { signal })),
  });
  const [isMaking, setMaking] = useState(false);
  const [made, setMade] = useState<{ name: string; token: string }>();
  const [revoking, setRevoking] = useState<string>();
  if (tokens.error) return <Trouble error={tokens.error} again={() => void tokens.refetch()} />;
  if (!tokens.data) return <Loading />;
  const now = tokens.dataUpdatedAt;
  return (
    <>
      <Panel
        title="Tokens"
        flush
        after={
          <Button size="xs" onClick={() => setMaking(true)}>
            Make a token
          </Button>
        }
      >
        {tokens.data.items.length === 0 ? (
          <Empty title="No tokens yet.">
            <p>A program signs in with a token. With one of the role viewer this says what is on fire:</p>
            <Command>{`curl -s "${location.origin}/api/v1/alerts?state=open" -H "Authorization: Bearer $TOKEN"`}</Command>
          </Empty>
        ) : (
          <SmallTable
            label="Tokens"
            rows={tokens.data.items}
            rowKey={(token) => token.name}
            columns={[
              {
                id: 'name',
                head: 'Name',
                width: 'minmax(0, 1fr)',
                cell: (token) => <strong title={token.description}>{token.name}</strong>,
              },
              { id: 'role', head: 'Role', width: '90px', cell: (token) => token.role },
              {
                id: 'gateways',
                head: 'Gateways',
                width: 'minmax(0, 1fr)',
                cell: (token) =>
                  token.gateways.length === 0 ? <span className="faint">all</span> : token.gateways.join(', '),
              },
              {
                id: 'state',
                head: 'State',
                width: '90px',
                cell: (token) =>
                  token.revoked_ms ? (
                    <span className="tag">revoked</span>
                  ) : token.expires_ms && token.expires_ms < now ? (
                    <span className="tag">ended</span>
                  ) : (
                    <span className="tag good">works</span>
                  ),
              },
              {
                id: 'used',
                head: 'Last used',
                width: '100px',
                cell: (token) => <Time ms={token.last_used_ms} relative />,
              },
              {
                id: 'ends',
                head: 'Ends',
                width: '156px',
                cell: (token) =>
                  token.expires_ms ? <Time ms={token.expires_ms} /> : <span className="faint">no end</span>,
              },
              {
                id: 'by',
                head: 'Made by',
                width: 'minmax(0, 1fr)',
                cell: (token) => byWhom(token.created_by),
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
          explanation="Requests with it are refused from now on. It cannot be taken back."
          list="tokens"
          revoke={() => got(api.DELETE('/api/v1/tokens/{name}', { params: { path: { name: revoking } } }))}
          close={() => setRevoking(undefined)}
        />
      )}
    </>
  );
}

function Make({ close, made }: { close: () => void; made: (token: { name: string; token: string }) => void }) {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [description, setDescription] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [gateways, setGateways] = useState<string[]>([]);
  const [days, setDays] = useState('90');
  const making = useMutation({
    mutationFn: () =>
      got(
        api.POST('/api/v1/tokens', {
          body: {
            name,
            description,
            role,
            gateways,
            expires_ms: days === '0' ? null : Date.now() + Number(days) * 86_400_000,
          },
        }),
      ),
    onSuccess: async (token) => {
      await client.invalidateQueries({ queryKey: ['tokens'] });
      close();
      made(token);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    making.mutate();
  };
  return (
    <Dialog title="Make a token" open close={close}>
      <form className="stack" onSubmit={submit}>
        <TextInput
          label="Name"
          required
          data-autofocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <TextInput
          label="What it is for"
          value={description}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
        <Select
          label="Role"
          allowDeselect={false}
          value={role}
          data={ROLES}
          onChange={(value) => value && setRole(value)}
        />
        <TagsInput label="Gateways" description="empty for all" value={gateways} onChange={setGateways} />
        <Select
          label="Works for"
          allowDeselect={false}
          value={days}
          data={DAYS}
          onChange={(value) => value && setDays(value)}
        />
        {making.error && <Trouble error={making.error} />}
        <Button type="submit" loading={making.isPending}>
          Make it
        </Button>
      </form>
    </Dialog>
  );
}
