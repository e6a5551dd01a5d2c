import { act, useState } from 'react';
import { expect, it, vi } from 'vitest';

import { stage } from '../testing';
import { Dialog } from './Dialog';

const on = stage();

/** A dialog that is opened by being there. */
function Page() {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Ask
      </button>
      {isOpen && (
        <Dialog title="Why" open close={() => setOpen(false)}>
          <button type="button" data-autofocus onClick={() => setOpen(false)}>
            Done
          </button>
        </Dialog>
      )}
    </>
  );
}

it('gives the focus back to what opened it', async () => {
  on.draw(<Page />);
  const ask = on.host.querySelector('button')!;
  act(() => {
    ask.focus();
    ask.click();
  });
  await vi.waitFor(() => expect(document.activeElement?.textContent).toBe('Done'));
  act(() => (document.activeElement as HTMLElement).click());
  expect(document.activeElement).toBe(ask);
});
