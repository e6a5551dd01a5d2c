import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act } from 'react';
import { createRoot } from 'react-dom/client';
import { MemoryRouter } from 'react-router';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import type { Me } from '../../api/types';
import { stubBrowser, unstubBrowser } from '../../testing';
import type { EditorProps } from './Editor';
import { HuntForm } from './HuntForm';

// The real one needs a layout.
let editor: EditorProps;
vi.mock('./Editor', () => ({
  default: (props: EditorProps) => {
    editor = props;
    return null;
  },
}));

let frame: HTMLElement;
let saved: unknown[];
let unmount: () => void;

async function open(address: string, role: Me['role']) {
  const client = new QueryClient();
  client.setQueryData(['session'], { role });
  const root = createRoot(frame);
  unmount = () => root.unmount();
  await act(async () => {
    root.render(
      <MantineProvider env="test">
        <QueryClientProvider client={client}>
          <MemoryRouter initialEntries={[`/hunt/saved/new${address}`]}>
            <HuntForm />
          </MemoryRouter>
        </QueryClientProvider>
      </MantineProvider>,
    );
    await vi.dynamicImportSettled();
  });
}

beforeEach(() => {
  stubBrowser();
  saved = [];
  vi.stubGlobal('fetch', async (request: Request) => {
    if (request.method === 'PUT') saved.push(await request.json());
    return Response.json({});
  });
  frame = document.createElement('div');
  document.body.append(frame);
});
afterEach(() => {
  act(() => unmount());
  frame.remove();
  unstubBrowser();
});

const save = () => Array.from(frame.querySelectorAll('button')).find((button) => button.textContent === 'Save');
const said = () => frame.querySelector('[role=alert]')?.textContent;
// Without a name the button would not.
const submit = () =>
  act(() => {
    frame.querySelector('form')!.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));
  });

it('saves the statement as it was written', async () => {
  await open('?sql=SELECT%201', 'analyst');
  expect(editor).toMatchObject({ statement: 'SELECT 1', isReadOnly: false, isOfHunt: true });
  act(() => editor.change('SELECT 2'));
  submit();
  await act(() => vi.waitFor(() => expect(saved).toHaveLength(1)));
  expect(saved).toMatchObject([{ ask: { sql: 'SELECT 2' } }]);
});

it('saves no empty statement, and says so', async () => {
  await open('?sql=', 'analyst');
  expect(save()!.disabled).toBe(false);
  expect(said()).toBeUndefined();
  submit();
  expect(said()).toBe('The statement is missing.');
  act(() => editor.change('SELECT 1'));
  expect(said()).toBeUndefined();
  submit();
  await act(() => vi.waitFor(() => expect(saved).toHaveLength(1)));
  expect(saved).toMatchObject([{ ask: { sql: 'SELECT 1' } }]);
});

it('says to whom does not see it what the statement is for', async () => {
  await open('?sql=', 'analyst');
  expect(editor.isRequired).toBe(true);
  expect(frame.textContent).toContain(editor.description);
});

it('lets read who may not change it', async () => {
  await open('?sql=SELECT%201', 'viewer');
  expect(editor.isReadOnly).toBe(true);
  expect(save()).toBeUndefined();
});
