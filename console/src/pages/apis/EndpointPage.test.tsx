import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Endpoint } from '../../api/types';
import { stubBrowser, unstubBrowser } from '../../testing';
import { Callers } from './EndpointPage';
import { SPANS } from './questions';

// It looks for a canvas as soon as it is there, and draws nothing here.
vi.mock('uplot', () => ({ default: class {} }));

let host: HTMLElement;
let unmount: () => void;

beforeEach(() => {
  stubBrowser();
  host = document.createElement('div');
});
afterEach(() => {
  act(() => unmount());
  unstubBrowser();
});

async function show(status: number, detail: string) {
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ type: 'problem', status, detail }, { status })));
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const root = createRoot(host);
  unmount = () => root.unmount();
  act(() =>
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={client}>
          <Callers endpoint={{ id: 'ep_1' } as Endpoint} span={SPANS[1]} />
        </QueryClientProvider>
      </MantineProvider>,
    ),
  );
  await act(() => vi.waitFor(() => expect(client.isFetching()).toBe(0)));
}

it('says why there are no callers', async () => {
  await show(503, 'the lake is busy');
  expect(host.querySelector('h2')!.textContent).toBe('Callers');
  expect(host.querySelector('[role=alert]')!.textContent).toContain('the lake is busy');
});

it('has nothing to say where there is no lake', async () => {
  await show(404, 'this outrider keeps no lake');
  expect(host.querySelector('h2')).toBeNull();
});
