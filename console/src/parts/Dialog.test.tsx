import { MantineProvider } from '@mantine/core';
import { act, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stubBrowser, unstubBrowser } from '../testing';
import { Dialog } from './Dialog';

let frame: HTMLElement;
let unmount: () => void;

/** A dialog that is opened by being there. */
function Page() {
  const [isOpen, setOpen] = useState(false);
  return (
    <MantineProvider env="test">
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
    </MantineProvider>
  );
}

beforeEach(() => {
  stubBrowser();
  frame = document.createElement('div');
  document.body.append(frame);
  const root = createRoot(frame);
  act(() => root.render(<Page />));
  unmount = () => act(() => root.unmount());
});
afterEach(() => {
  unmount();
  frame.remove();
  unstubBrowser();
});

it('gives the focus back to what opened it', async () => {
  const ask = frame.querySelector('button')!;
  act(() => {
    ask.focus();
    ask.click();
  });
  await vi.waitFor(() => expect(document.activeElement?.textContent).toBe('Done'));
  act(() => (document.activeElement as HTMLElement).click());
  expect(document.activeElement).toBe(ask);
});
