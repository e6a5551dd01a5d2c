import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { expect, it, vi } from 'vitest';

import type { CallRow } from '../api/types';
import { CallLink, useOpenCall } from '../parts/openCall';
import { AtOnce } from './AtOnce';

const CALL = { position: 7, call_index: 0 } as CallRow;

function Opened() {
  return <output>{useOpenCall().key}</output>;
}

it('has drawn a call that was clicked before anything else is done', async () => {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  const host = document.body.appendChild(document.createElement('div'));
  const root = createRoot(host);
  act(() =>
    root.render(
      <AtOnce>
        <CallLink call={CALL}>call</CallLink>
        <Opened />
      </AtOnce>,
    ),
  );
  // From here on React draws when it does by itself.
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', false);
  host.querySelector('a')!.click();
  await Promise.resolve();
  expect(host.querySelector('output')!.textContent).toBe('7-0');
  root.unmount();
  host.remove();
  history.replaceState(null, '', '/');
  vi.unstubAllGlobals();
});
