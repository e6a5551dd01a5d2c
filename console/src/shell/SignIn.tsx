// Signing in, and making the first admin where there is none.
import { Button, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useEffect, useState } from 'react';

import { api, got } from '../api/client';
import { useAddress } from '../parts/address';
import { Command, Trouble } from '../parts/basics';
import { Mark } from './Mark';
import { refusalWords } from './refusals';

export function SignIn({ wasSignedIn }: { wasSignedIn: boolean }) {
  const client = useQueryClient();
  const ways = useQuery({ queryKey: ['ways'], queryFn: () => got(api.GET('/api/v1/session/ways')), retry: false });
  const isSetup = ways.data?.is_setup_open ?? false;
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [token, setToken] = useState('');
  const [query, change] = useAddress();
  const [refused] = useState(() => refusalWords(query.get('refused')));
  useEffect(() => {
    document.title = 'Sign in · outrider';
  }, []);
  useEffect(() => {
    // It is said once: whoever signs in later has nothing to do with it.
    if (query.has('refused')) change({ refused: null });
  }, [query, change]);
  const signIn = useMutation({
    mutationFn: () =>
      isSetup
        ? got(api.POST('/api/v1/setup', { body: { token: token.trim(), name, password } }))
        : got(api.POST('/api/v1/session', { body: { name, password } })),
    onSuccess: (me) => {
      // What somebody else saw here is nobody's any more.
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== 'session' && queryKey[0] !== 'ways' });
      client.setQueryData(['session'], me);
    },
    onSettled: () => setPassword(''),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    signIn.mutate();
  };
  return (
    <main className="sign-in">
      <form className="sign-in-card stack" onSubmit={submit}>
        <div className="row">
          <Mark size={28} />
          <h1>{isSetup ? 'Welcome to outrider' : 'Sign in to outrider'}</h1>
        </div>
        {wasSignedIn && !isSetup && (
          <p className="muted">Your session has ended. Sign in and you are back where you were.</p>
        )}
        {refused && (
          <div className="trouble" role="alert">
            <strong>You are not signed in</strong>
            <span className="wrap">{refused}</span>
          </div>
        )}
        {isSetup && (
          <>
            <p className="muted">
              Nobody can administer this outrider yet. Make the first admin, with the setup token from its data
              directory:
            </p>
            <Command>sudo cat outrider-data/setup-token</Command>
            <TextInput
              label="Setup token"
              required
              autoComplete="off"
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
            />
          </>
        )}
        <TextInput
          label="Name"
          required
          autoFocus
          autoComplete="username"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <PasswordInput
          label="Password"
          description={isSetup ? 'At least 12 characters' : undefined}
          required
          autoComplete={isSetup ? 'new-password' : 'current-password'}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        {signIn.error && <Trouble error={signIn.error} />}
        {ways.error && <Trouble error={ways.error} again={() => void ways.refetch()} />}
        <Button type="submit" loading={signIn.isPending} fullWidth>
          {isSetup ? 'Make the first admin' : 'Sign in'}
        </Button>
        {ways.data?.has_identity_provider && (
          <Button component="a" href="/api/v1/session/oidc" variant="default" fullWidth>
            Sign in with the identity provider
          </Button>
        )}
        {!isSetup && (
          <p className="faint">
            Locked out? On outrider’s machine: <code>outrider person reset-password NAME</code>
          </p>
        )}
      </form>
    </main>
  );
}
