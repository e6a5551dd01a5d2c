import { act } from 'react';
import { Route, Routes } from 'react-router';
import { beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import PolicyPage from './PolicyPage';
import { NEW_POLICY } from './sentence';

const ALERT = { id: 'al_1', detector: 'request_spike', severity: 'high', worst: { service_name: 'orders' } };
let names: Set<string>;
let saved: string[];
/** What each save said of what has the name already. */
let conditions: (string | null)[];
const on = stage({ answer, role: 'responder' });
beforeEach(() => {
  names = new Set(['block-request-spike']);
  saved = [];
  conditions = [];
  on.client.setDefaultOptions({ queries: { retry: false } });
});

function answer({ pathname }: URL, request: Request): Response | undefined {
  if (pathname === '/api/v1/alerts/al_1') return Response.json(ALERT);
  const name = /policies\/(.+)$/.exec(pathname)?.[1];
  if (!name) return undefined;
  if (request.method === 'PUT') {
    const condition = request.headers.get('if-none-match');
    if (condition === '*' && names.has(name)) return Response.json({}, { status: 412 });
    saved.push(name);
    conditions.push(condition);
  }
  const row = { policy: { ...NEW_POLICY, name }, from_config: false, changed_ms: 0, changed_by: 'person:anna' };
  return names.has(name) ? Response.json(row) : Response.json({}, { status: 404 });
}

const field = () => on.host.querySelector<HTMLInputElement>('.saved-name input')!;
const submit = async () => {
  act(() => {
    on.host.querySelector('form')!.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));
  });
  await on.settle();
};

it('begins from an alert with a name that no other policy has', async () => {
  await on.show(<PolicyPage />, '/policies/new?alert=al_1');
  await act(() => vi.waitFor(() => expect(field().value).toBe('block-request-spike-2')));
});

it('replaces no policy with a new one of the same name, and proposes another', async () => {
  await on.show(<PolicyPage />, '/policies/new?alert=al_1');
  // Somebody else saves one meanwhile.
  names.add('block-request-spike-2');
  await submit();
  expect(saved).toEqual([]);
  expect(on.host.querySelector('[role=alert]')!.textContent).toContain('one of this name already');
  act(() => on.host.querySelector<HTMLButtonElement>('[role=alert] button')!.click());
  expect(field().value).toBe('block-request-spike-3');
  expect(on.host.querySelector('[role=alert]')).toBeNull();
  await submit();
  expect([saved, conditions]).toEqual([['block-request-spike-3'], ['*']]);
});

it('changes a policy that is there, and says nothing of new ones', async () => {
  const page = (
    <Routes>
      <Route path="/policies/:name" element={<PolicyPage />} />
    </Routes>
  );
  await on.show(page, '/policies/block-request-spike');
  await submit();
  expect([saved, conditions]).toEqual([['block-request-spike'], [null]]);
});

it('has its buttons above what grows while one reads', async () => {
  await on.show(<PolicyPage />, '/policies/new?alert=al_1');
  const text = on.host.textContent;
  expect(text.indexOf('Cancel')).toBeGreaterThan(0);
  expect(text.indexOf('Cancel')).toBeLessThan(text.indexOf('In the last 7 days'));
});
