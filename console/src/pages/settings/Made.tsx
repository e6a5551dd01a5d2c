// Identities that have a secret, of programs and of services: shown once, and revoked.
import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';

import { Command } from '../../parts/basics';
import type { Column } from '../../parts/DataTable';
import { Dialog, ReasonDialog } from '../../parts/Dialog';

/** A secret that was made just now. Nobody can read it again. */
export function MadeSecret({ name, secret, close }: { name: string; secret: string; close: () => void }) {
  return (
    <Dialog title={`The token of ${name}`} open close={close}>
      <div className="stack">
        <p className="muted">It is shown once. Keep it where its program reads it.</p>
        <Command>{secret}</Command>
        <Button onClick={close}>I have it</Button>
      </div>
    </Dialog>
  );
}

/** The column of a list with which one is revoked. */
export function revokeColumn<T extends { name: string; revoked_ms?: number | null }>(
  choose: (name: string) => void,
): Column<T> {
  return {
    id: 'revoke',
    head: <span className="hidden-label">Revoke</span>,
    width: '84px',
    isNumber: true,
    cell: ({ name, revoked_ms }) =>
      !revoked_ms && (
        <Button size="compact-xs" variant="default" onClick={() => choose(name)}>
          Revoke
        </Button>
      ),
  };
}

interface Revoking {
  name: string;
  explanation: string;
  /** The list that it is in. */
  list: string;
  revoke: () => Promise<unknown>;
  close: () => void;
}

export function RevokeDialog({ name, explanation, list, revoke, close }: Revoking) {
  const client = useQueryClient();
  return (
    <ReasonDialog
      title={`Revoke ${name}`}
      explanation={explanation}
      action="Revoke"
      isDangerous
      needsNoReason
      close={close}
      decide={async () => {
        await revoke();
        await client.invalidateQueries({ queryKey: [list] });
      }}
    />
  );
}
