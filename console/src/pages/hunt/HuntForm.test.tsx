import { act } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';

import type { Me } from '../../api/types';
import { stage } from '../../testing';
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

let saved: unknown[];
/** What each save said of what has the name already. */
let conditions: (string | null)[];
let isThere: boolean;
const on = stage({
  answer: async (_, request) => {
    if (request.method === 'PUT') {
      const condition = request.headers.get('if-none-match');
      if (condition === '*' && isThere) return Response.json({}, { status: 412 });
      saved.push(await request.json());
      conditions.push(condition);
    }
    if (request.method === 'GET') return Response.json({}, { status: isThere ? 200 : 404 });
    return Response.json({});
  },
});
beforeEach(() => {
  saved = [];
  conditions = [];
  isThere = false;
});

async function open(address: string, role: Me['role']) {
  on.client.setQueryData(['session'], { role });
  on.draw(<HuntForm />, `/hunt/saved/new${address}`);
  await act(() => vi.dynamicImportSettled());
}

const save = () => Array.from(on.host.querySelectorAll('button')).find((button) => button.textContent === 'Save');
const said = () => on.host.querySelector('[role=alert]')?.textContent;
// Without a name the button would not.
const submit = () =>
  act(() => {
    on.host.querySelector('form')!.dispatchEvent(new Event('submit', { bubbles: true, cancelable: true }));
  });

it('saves the statement as it was written', async () => {
  await open('?sql=SELECT%201', 'analyst');
  expect(editor).toMatchObject({ statement: 'SELECT 1', isReadOnly: false, isOfHunt: true });
  act(() => editor.change('SELECT 2'));
  submit();
  await act(() => vi.waitFor(() => expect(saved).toHaveLength(1)));
  expect(saved).toMatchObject([{ ask: { sql: 'SELECT 2' } }]);
  expect(conditions).toEqual(['*']);
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
  expect(on.host.textContent).toContain(editor.description);
});

it('lets read who may not change it', async () => {
  await open('?sql=SELECT%201', 'viewer');
  expect(editor.isReadOnly).toBe(true);
  expect(save()).toBeUndefined();
});

it('replaces no hunt with a new one of the same name', async () => {
  isThere = true;
  await open('?search=status:401', 'analyst');
  submit();
  await act(() => vi.waitFor(() => expect(said()).toContain('one of this name already')));
  expect(saved).toEqual([]);
});
