// One's own password.
import { Button, PasswordInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';

import { api, got } from '../../api/client';
import { Panel, Time, Trouble } from '../../parts/basics';
import { useSession } from '../../shell/session';

export default function You() {
  const client = useQueryClient();
  const me = useSession().data;
  const [current, setCurrent] = useState('');
  const [next, setNext] = useState('');
  const changing = useMutation({
    mutationFn: () => got(api.PUT('/api/v1/session/password', { body: { current, new: next } })),
    onSuccess: (session) => {
      client.setQueryData(['session'], session);
      setCurrent('');
      setNext('');
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    changing.mutate();
  };
  return (
    <div className="stack" style={{ maxWidth: 520, gap: 16 }}>
      <Panel title={me?.person?.display_name ?? me?.by ?? ''}>
        <dl className="facts">
          <dt>Name</dt>
          <dd>{me?.person?.name ?? me?.by}</dd>
          <dt>Role</dt>
          <dd>{me?.role}</dd>
          <dt>Session ends</dt>
          <dd>
            <Time ms={me?.person?.session_ends_ms} /> at the latest, or after 30 minutes without use
          </dd>
        </dl>
      </Panel>
      <Panel title="Change your password">
        <form className="stack" onSubmit={submit}>
          <PasswordInput
            label="Current password"
            required
            autoComplete="current-password"
            value={current}
            onChange={(event) => setCurrent(event.currentTarget.value)}
          />
          <PasswordInput
            label="New password"
            description="12 characters or more; you are signed out everywhere else"
            required
            autoComplete="new-password"
            value={next}
            onChange={(event) => setNext(event.currentTarget.value)}
          />
          {changing.error && <Trouble error={changing.error} />}
          {changing.isSuccess && (
            <p className="ok" role="status">
              Your password is changed.
            </p>
          )}
          <div>
            <Button type="submit" loading={changing.isPending}>
              Change it
            </Button>
          </div>
        </form>
      </Panel>
    </div>
  );
}
