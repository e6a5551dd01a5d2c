// Who may sign in, with which role.
import { Button, PasswordInput, Select, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, got, type Schemas } from '../../api/client';
import { type Role, ROLES } from '../../api/types';
import { Command, Loading, Panel, Time, Trouble } from '../../parts/basics';
import { SmallTable } from '../../parts/DataTable';
import { Dialog } from '../../parts/Dialog';
import { byWhom } from '../../parts/words';
import { isLastAdmin } from './lastAdmin';

type Person = Schemas['Person'];
const ROLE_WORDS: Record<Role, string> = {
  viewer: 'viewer: read everything',
  analyst: 'analyst: also decide about alerts, and hunt',
  responder: 'responder: also block, release, and change policies',
  admin: 'admin: also people, tokens, services, erasures',
};
const CHOICES = ROLES.map((value) => ({ value, label: ROLE_WORDS[value] }));

export default function People() {
  const people = useQuery({
    queryKey: ['people'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/people', { signal })),
  });
  const tokens = useQuery({
    queryKey: ['tokens'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/tokens', { signal })),
  });
  const [open, setOpen] = useState<Person | 'new'>();
  if (people.error) return <Trouble error={people.error} again={() => void people.refetch()} />;
  if (!people.data) return <Loading />;
  return (
    <>
      <Panel
        title="People"
        flush
        after={
          <Button size="xs" onClick={() => setOpen('new')}>
            Add somebody
          </Button>
        }
      >
        <SmallTable
          label="People"
          rows={people.data.items}
          rowKey={(person) => person.name}
          columns={[
            { id: 'name', head: 'Name', width: 'minmax(0, 1fr)', cell: (person) => <strong>{person.name}</strong> },
            { id: 'shown', head: 'Shown as', width: 'minmax(0, 1fr)', cell: (person) => person.display_name },
            { id: 'role', head: 'Role', width: '100px', cell: (person) => person.role },
            {
              id: 'how',
              head: 'Signs in with',
              width: '130px',
              cell: (person) => (person.issuer ? <span title={person.issuer}>identity provider</span> : 'a password'),
            },
            {
              id: 'state',
              head: 'State',
              width: '90px',
              cell: (person) =>
                person.disabled_ms ? <span className="tag">disabled</span> : <span className="tag good">enabled</span>,
            },
            {
              id: 'seen',
              head: 'Last sign-in',
              width: '120px',
              cell: (person) => <Time ms={person.last_seen_ms} relative />,
            },
            {
              id: 'by',
              head: 'Added by',
              width: 'minmax(0, 1fr)',
              cell: (person) => byWhom(person.created_by),
            },
            {
              id: 'change',
              head: <span className="hidden-label">Change</span>,
              width: '84px',
              isNumber: true,
              cell: (person) => (
                <Button size="compact-xs" variant="default" onClick={() => setOpen(person)}>
                  Change
                </Button>
              ),
            },
          ]}
        />
      </Panel>
      {people.data.items.length < 3 && (
        <div className="table-few">
          <div>
            <p>
              Whoever decides at night needs a name of their own: the audit log says who did what. Also on outrider’s
              machine, or by itself with an identity provider:
            </p>
            <Command>outrider person create anna --role analyst --config outrider.toml</Command>
          </div>
        </div>
      )}
      {open === 'new' && <Add close={() => setOpen(undefined)} />}
      {open && open !== 'new' && (
        <Change
          person={open}
          isLast={tokens.data !== undefined && isLastAdmin(open, people.data.items, tokens.data.items)}
          close={() => setOpen(undefined)}
        />
      )}
    </>
  );
}

function Add({ close }: { close: () => void }) {
  const client = useQueryClient();
  const [name, setName] = useState('');
  const [shown, setShown] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [password, setPassword] = useState('');
  const adding = useMutation({
    mutationFn: () => got(api.POST('/api/v1/people', { body: { name, display_name: shown, role, password } })),
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['people'] });
      close();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    adding.mutate();
  };
  return (
    <Dialog title="Add somebody" open close={close}>
      <form className="stack" onSubmit={submit}>
        <TextInput
          label="Name"
          description="what they sign in with"
          required
          data-autofocus
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <TextInput label="Shown as" value={shown} onChange={(event) => setShown(event.currentTarget.value)} />
        <Select
          label="Role"
          allowDeselect={false}
          value={role}
          data={CHOICES}
          onChange={(value) => value && setRole(value)}
        />
        <PasswordInput
          label="First password"
          description="12 characters or more; they can change it"
          required
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {adding.error && <Trouble error={adding.error} />}
        <Button type="submit" loading={adding.isPending}>
          Add
        </Button>
      </form>
    </Dialog>
  );
}

function Change({ person, isLast, close }: { person: Person; isLast: boolean; close: () => void }) {
  const client = useQueryClient();
  const [shown, setShown] = useState(person.display_name);
  const [role, setRole] = useState(person.role);
  const [password, setPassword] = useState('');
  const isElsewhere = person.issuer !== null;
  const path = { path: { name: person.name } };
  const done = async () => {
    await client.invalidateQueries({ queryKey: ['people'] });
    close();
  };
  const change = (body: { role?: Role; display_name?: string; disabled?: boolean }) =>
    got(api.PATCH('/api/v1/people/{name}', { params: path, body }));
  const saving = useMutation({
    mutationFn: async () => {
      await change({
        ...(role !== person.role ? { role } : {}),
        ...(shown !== person.display_name ? { display_name: shown } : {}),
      });
      if (password) await got(api.PUT('/api/v1/people/{name}/password', { params: path, body: { password } }));
    },
    onSuccess: done,
  });
  const turning = useMutation({ mutationFn: () => change({ disabled: person.disabled_ms === null }), onSuccess: done });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  const error = saving.error ?? turning.error;
  return (
    <Dialog title={person.name} open close={close}>
      <form className="stack" onSubmit={submit}>
        <TextInput label="Shown as" value={shown} onChange={(event) => setShown(event.currentTarget.value)} />
        {isElsewhere ? (
          <p className="muted">The identity provider gives the role.</p>
        ) : (
          <>
            <Select
              label="Role"
              description={
                isLast ? 'the last admin stays one; make somebody else an admin first' : 'another one signs them out'
              }
              disabled={isLast}
              allowDeselect={false}
              value={role}
              data={CHOICES}
              onChange={(value) => value && setRole(value)}
            />
            <PasswordInput
              label="New password"
              description="left empty, it stays; another one signs them out"
              autoComplete="new-password"
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
            />
          </>
        )}
        {error && <Trouble error={error} />}
        <div className="row">
          {!isLast && (
            <Button
              variant="subtle"
              color={person.disabled_ms ? undefined : 'red'}
              loading={turning.isPending}
              onClick={() => turning.mutate()}
            >
              {person.disabled_ms ? 'Enable' : 'Disable'}
            </Button>
          )}
          <div className="spread" />
          <Button type="submit" loading={saving.isPending}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
