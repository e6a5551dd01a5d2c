import { Button } from '@mantine/core';

import { Command } from '../../parts/basics';
import { Dialog } from '../../parts/Dialog';

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
