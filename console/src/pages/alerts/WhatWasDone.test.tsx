import { QueryClient } from '@tanstack/react-query';
import { beforeEach, expect, it } from 'vitest';

import type { Alert } from '../../api/types';
import { stage } from '../../testing';
import { WhatWasDone } from './WhatWasDone';

const ACTION = {
  id: 'ac_1',
  kind: { kind: 'block', status: 403 },
  state: 'in_force',
  origin: { kind: 'policy', name: 'block-spikes' },
  state_reason: '',
  created_ms: 0,
};
let actions: unknown[];
beforeEach(() => void (actions = []));
const on = stage({
  answer: ({ pathname }) =>
    pathname === '/api/v1/actions' ? Response.json({ items: actions, next: null }) : undefined,
  // As the console's own: what was asked a moment ago is not asked again by itself.
  makeClient: () => new QueryClient({ defaultOptions: { queries: { staleTime: 10_000 } } }),
});

const alert = (updated_ms: number, ids: string[]) =>
  ({ id: 'al_1', state: 'open', updated_ms, actions: ids, comments: [], policy_notes: [] }) as unknown as Alert;

it('shows an action that begins while one looks', async () => {
  await on.show(<WhatWasDone alert={alert(1, [])} />);
  expect(on.host.textContent).toContain('No action came from this alert.');
  actions = [ACTION];
  await on.show(<WhatWasDone alert={alert(2, ['ac_1'])} />);
  expect(on.host.textContent).toContain('the policy block-spikes');
  expect(on.host.textContent).not.toContain('forgotten');
});

it('says of an action that is not there any more that it is forgotten', async () => {
  await on.show(<WhatWasDone alert={alert(1, ['ac_0'])} />);
  expect(on.host.textContent).toContain('1 more that outrider has forgotten');
});
