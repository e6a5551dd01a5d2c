import type { EditorView } from '@codemirror/view';
import { act, useImperativeHandle } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import type { EditorProps } from './Editor';
import { Sql } from './Sql';

// The real one needs a layout. This one keeps its text as that does: another one is written into it only where the edition changes.
let editor: EditorProps;
let shown: { edition?: number; text: string } | undefined;
vi.mock('./Editor', () => ({
  default: function Editor(props: EditorProps) {
    editor = props;
    if (shown?.edition !== props.edition) shown = { edition: props.edition, text: props.statement };
    useImperativeHandle(props.viewRef, () => ({ state: { doc: { toString: () => shown!.text } } }) as EditorView);
    return null;
  },
}));

// The library asks for the window's scale when it is loaded.
vi.mock('../../charts/Lines', () => ({ Lines: () => null }));

/** The statements that were run. */
let ran: string[];
let answer: (statement: string, request: Request) => Response | Promise<Response>;
const on = stage({
  role: 'viewer',
  answer: async ({ pathname }, request) => {
    if (pathname === '/api/v1/lake/schema') return Response.json({ tables: [], functions: [] });
    if (pathname !== '/api/v1/query') return undefined;
    const { statement } = (await request.json()) as { statement: string };
    ran.push(statement);
    return answer(statement, request);
  },
});
const table = (value: string) =>
  Response.json({ columns: [{ name: 'x', type: 'Utf8' }], rows: [{ x: value }], rows_read: 7, bytes_read: 9 });
beforeEach(() => {
  shown = undefined;
  ran = [];
  answer = table;
});
afterEach(() => vi.restoreAllMocks());

async function open(address: string) {
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(800);
  on.draw(<Sql />, address);
  await act(() => vi.dynamicImportSettled());
  await on.settle();
}
const type = (text: string) => {
  shown!.text = text;
  act(() => editor.change(text));
};
const run = async (text: string) => {
  type(text);
  act(() => editor.run!(text));
  await on.settle();
};
const button = (words: string) => [...on.host.querySelectorAll('button')].find((one) => one.textContent === words);
const status = () => on.host.querySelector('[role=status]')?.textContent;

it('runs the statement of its address, once', async () => {
  await open('/hunt/sql?statement=SELECT%201');
  expect(ran).toEqual(['SELECT 1']);
  expect(on.host.querySelector('[aria-label="Answer: rows"]')!.textContent).toBe('SELECT 1');
  expect(status()).toContain('1 row · read 7 rows, 9 B');
  // An outrider that was started anew tells everybody to read again.
  await act(() => on.client.invalidateQueries());
  await on.settle();
  expect(ran).toEqual(['SELECT 1']);
});

it('runs nothing where the address has none', async () => {
  await open('/hunt/sql');
  expect(ran).toEqual([]);
  expect(editor.statement).toContain('FROM calls');
  expect(on.host.textContent).toContain('Ask the lake.');
});

it('runs what is typed, once, and again where that is asked for', async () => {
  await open('/hunt/sql');
  await run('SELECT 2');
  expect([on.address, ran]).toEqual(['/hunt/sql?statement=SELECT+2', ['SELECT 2']]);
  await run('SELECT 2');
  expect(ran).toEqual(['SELECT 2', 'SELECT 2']);
  // It was not written into the field that it comes from.
  expect(editor.edition).toBe(0);
});

it('runs what is typed, although it is not drawn yet', async () => {
  await open('/hunt/sql');
  act(() => {
    shown!.text = 'SELECT 2';
    editor.change('SELECT 2');
    button('Run')!.click();
  });
  await on.settle();
  expect(ran).toEqual(['SELECT 2']);
});

it('goes back to the statement before, runs it, and has it in the field', async () => {
  await open('/hunt/sql?statement=SELECT%201');
  await run('SELECT 2');
  type('SELECT 2, half of anoth');
  act(() => on.back());
  await on.settle();
  expect(on.address).toBe('/hunt/sql?statement=SELECT%201');
  expect(ran).toEqual(['SELECT 1', 'SELECT 2', 'SELECT 1']);
  expect(shown!.text).toBe('SELECT 1');
});

it('is one step back from a statement that was run twice before the address had it', async () => {
  await open('/hunt/sql?statement=SELECT%201');
  type('SELECT 2');
  act(() => {
    editor.run!('SELECT 2');
    editor.run!('SELECT 2');
  });
  await on.settle();
  expect([on.address, ran]).toEqual(['/hunt/sql?statement=SELECT+2', ['SELECT 1', 'SELECT 2']]);
  act(() => on.back());
  await on.settle();
  expect(on.address).toBe('/hunt/sql?statement=SELECT%201');
  // What was left can be run again.
  await run('SELECT 2');
  expect(on.address).toBe('/hunt/sql?statement=SELECT+2');
});

it('leaves what is typed alone while the address comes after', async () => {
  await open('/hunt/sql');
  type('SELECT 2');
  act(() => {
    editor.run!('SELECT 2');
    editor.change('SELECT 2, 3');
  });
  await on.settle();
  expect([on.address, ran]).toEqual(['/hunt/sql?statement=SELECT+2', ['SELECT 2']]);
  expect([editor.edition, editor.statement]).toEqual([0, 'SELECT 2, 3']);
});

it('stops, and asks only when it is told to again', async () => {
  let signal: AbortSignal;
  answer = (_, request) => {
    signal = request.signal;
    return new Promise(() => undefined);
  };
  on.draw(<Sql />, '/hunt/sql?statement=SELECT%201');
  await act(() => vi.waitFor(() => expect(ran).toEqual(['SELECT 1'])));
  act(() => button('Stop')!.click());
  await on.settle();
  expect(signal!.aborted).toBe(true);
  expect(on.host.textContent).toContain('Ask the lake.');
  answer = table;
  act(() => button('Run')!.click());
  await on.settle();
  expect([ran, status()]).toEqual([['SELECT 1', 'SELECT 1'], expect.stringContaining('1 row')]);
});

it('says why a statement was refused', async () => {
  const problem = { type: 'urn:outrider:problem:bad-statement', status: 422, title: 'No', detail: 'no table `call`' };
  answer = () => Response.json(problem, { status: 422 });
  await open('/hunt/sql?statement=SELECT%201');
  expect(ran).toEqual(['SELECT 1']);
  expect(on.host.querySelector('[role=alert]')!.textContent).toContain('no table `call`');
});

it('asks nothing for whom no role allows it, and says why', async () => {
  on.client.setQueryData(['session'], { role: 'auditor' });
  await open('/hunt/sql?statement=SELECT%201');
  expect(on.asked).toEqual([]);
  expect(on.host.textContent).toContain('You may not ask the lake.');
});

it('saves no statement as a hunt that a hunt would be refused for', async () => {
  on.client.setQueryData(['session'], { role: 'analyst' });
  await open('/hunt/sql?statement=SELECT%201');
  const link = () => [...on.host.querySelectorAll('a')].find((one) => one.textContent === 'Save as a hunt');
  expect(link()).toBeUndefined();
  expect(on.host.textContent).toContain('A hunt reads window_calls');
  type('SELECT entity FROM window_calls');
  expect(link()).toBeDefined();
});

it('exports the statement whose answer is shown, not what is typed since', async () => {
  await open('/hunt/sql?statement=SELECT%201');
  type('SELECT 2');
  const posted: string[] = [];
  vi.stubGlobal('fetch', (_: string, { body }: { body: string }) => {
    posted.push((JSON.parse(body) as { statement: string }).statement);
    return Promise.resolve(Response.json({}, { status: 500 }));
  });
  const press = (words: string) =>
    act(() => {
      [...document.querySelectorAll<HTMLElement>('button')].find((one) => one.textContent === words)!.click();
    });
  press('Export');
  press('CSV');
  await on.settle();
  expect(posted).toEqual(['SELECT 1']);
});
