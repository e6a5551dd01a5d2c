import { expect, it } from 'vitest';

import { stage } from '../../testing';
import Gateways from './Gateways';

const plugin = (id: string, tags: string[]) => ({ id, name: id, tags, enabled: true });
const CONFIGURATION = {
  services: [],
  routes: [],
  consumers: [],
  plugins: [plugin('key-auth', []), plugin('request-termination', ['outrider'])],
};
const on = stage({
  answer: ({ pathname }) =>
    pathname.endsWith('/configuration')
      ? Response.json({ configuration: CONFIGURATION })
      : Response.json({ items: [{ gateway: 'kong', newest: { left_out: [], version: '3.9' } }] }),
});

it('has what outrider holds at a gateway first, and reads it again', async () => {
  await on.show(<Gateways />, '/settings/gateways');
  const rows = [...on.host.querySelectorAll('[aria-label="Plugins"] code')].map((one) => one.textContent);
  expect(rows).toEqual(['request-termination', 'key-auth']);
  expect(on.host.textContent).toContain('1 of outrider’s, of 2');
  for (const key of ['gateways', 'gateway']) {
    const [query] = on.client.getQueryCache().findAll({ queryKey: [key] });
    expect(query!.observers[0]!.options.refetchInterval).toBe(20_000);
  }
});
