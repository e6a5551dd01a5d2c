import { act } from 'react';
import { expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import Gateways from './Gateways';

const plugin = (id: string, tags: string[]) => ({ id, name: id, tags, enabled: true });
const CONFIGURATION = {
  services: [],
  routes: [],
  consumers: [],
  plugins: [plugin('key-auth', []), plugin('request-termination', ['outrider', 'outrider:of-somebody-else'])],
};
const action = (id: string, gateway: string, state: string) => ({
  id,
  state,
  kind: { kind: 'block', status: 403 },
  scope: { kind: 'consumer' },
  history: [],
  target: { kind: 'consumer', gateway, value: `id-${id}`, label: id },
});
let actions: object[];
const on = stage({
  answer: ({ pathname }) => {
    if (pathname.endsWith('/configuration')) return Response.json({ configuration: CONFIGURATION });
    if (pathname.endsWith('/status')) {
      return Response.json({ responders: [{ gateway: 'kong', own_plugins: 1, listed_ms: Date.now() }] });
    }
    if (pathname.endsWith('/actions')) return Response.json({ items: actions, next: null });
    return Response.json({ items: [{ gateway: 'kong', newest: { left_out: [], version: '3.9' } }] });
  },
});

const held = () =>
  [...on.host.querySelectorAll('[aria-label="Held"] .table-row')].map(
    (row) => row.querySelector('[role=cell]:nth-child(2)')!.textContent,
  );

it('says what outrider holds at a gateway by its responder and actions, and whose the other plugins are', async () => {
  actions = [
    action('mallory', 'kong', 'in_force'),
    action('bob', 'kong', 'proposed'),
    action('eve', 'other', 'in_force'),
  ];
  await on.show(<Gateways />, '/settings/gateways');
  // It is asked when the gateway is known.
  await act(() => vi.waitFor(() => expect(held()).toEqual(['mallory'])));
  expect(on.host.textContent).toContain('1 plugin, seen');
  const plugins = [...on.host.querySelectorAll('[aria-label="Plugins"] .table-row')].map((row) => row.textContent);
  expect(plugins).toEqual([expect.stringMatching(/^key-auth.*yours/), expect.stringMatching(/another outrider/)]);
});

it('says where outrider holds nothing, and reads the configuration again', async () => {
  actions = [];
  await on.show(<Gateways />, '/settings/gateways');
  await act(() => vi.waitFor(() => expect(on.host.textContent).toContain('nobody is blocked or limited there')));
  for (const key of ['gateways', 'gateway']) {
    const [query] = on.client.getQueryCache().findAll({ queryKey: [key] });
    expect(query!.observers[0]!.options.refetchInterval).toBe(20_000);
  }
});
