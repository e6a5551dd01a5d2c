import type { EditorView } from '@codemirror/view';
import { act, createRef } from 'react';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../../testing';
import Editor, { type EditorProps } from './Editor';
import { schemaOfLake } from './schema';

const view = createRef<EditorView>();
const change = vi.fn();
const on = stage({
  answer: ({ pathname }) =>
    pathname === '/api/v1/lake/schema' ? Response.json({ tables: [], functions: [] }) : undefined,
});

beforeEach(() => change.mockClear());
afterEach(() => vi.restoreAllMocks());

async function open(props: Partial<EditorProps>) {
  on.draw(<Editor statement="SELECT 1" change={change} viewRef={view} {...props} />);
  await act(() => Promise.resolve());
}

const text = () => view.current!.state.doc.toString();
const content = () => view.current!.contentDOM;
const choose = (anchor: number, head: number) => view.current!.dispatch({ selection: { anchor, head } });
/** As the browser says it before it writes; it does so by itself unless it is kept from it. */
const write = (data: string) =>
  content().dispatchEvent(new InputEvent('beforeinput', { inputType: 'insertText', data, cancelable: true }));
const press = (key: string, more: KeyboardEventInit = {}) =>
  content().dispatchEvent(new KeyboardEvent('keydown', { key, cancelable: true, bubbles: true, ...more }));

it('replaces what is chosen', async () => {
  await open({});
  choose(7, 8);
  write('2');
  expect(text()).toBe('SELECT 2');
  expect(change).toHaveBeenCalledWith('SELECT 2');
});

it('replaces what the browser would, although the editor has not heard yet that it is chosen', async () => {
  await open({});
  const chosen = {
    anchorNode: content(),
    anchorOffset: 1,
    focusNode: content(),
    focusOffset: 0,
  } as unknown as Selection;
  vi.spyOn(document, 'getSelection').mockReturnValue(chosen);
  expect(write('2')).toBe(false);
  expect(text()).toBe('2');
  expect(change).toHaveBeenCalledExactlyOnceWith('2');
});

it('leaves chosen what the browser has chosen where the tables come meanwhile', async () => {
  await open({});
  choose(8, 8);
  const line = content().querySelector('.cm-line')!;
  const chosen = {
    anchorNode: line,
    anchorOffset: line.childNodes.length,
    focusNode: line,
    focusOffset: 0,
  } as unknown as Selection;
  vi.spyOn(document, 'getSelection').mockReturnValue(chosen);
  const reconfigure = vi.spyOn(view.current!, 'dispatch');
  on.client.setQueryData(schemaOfLake.queryKey, { tables: [], functions: [] });
  await act(() => vi.waitFor(() => expect(reconfigure).toHaveBeenCalled()));
  const { anchor, head } = view.current!.state.selection.main;
  expect([anchor, head]).toEqual([8, 0]);
});

it('leaves to the browser what replaces nothing', async () => {
  await open({});
  choose(7, 8);
  const line = content().querySelector('.cm-line')!;
  const chosen = { anchorNode: line, anchorOffset: 0, focusNode: line, focusOffset: 0 } as unknown as Selection;
  vi.spyOn(document, 'getSelection').mockReturnValue(chosen);
  expect(write('2')).toBe(true);
  expect(text()).toBe('SELECT 1');
});

it('changes nothing where it can be read only, whoever writes', async () => {
  await open({ isReadOnly: true });
  choose(7, 8);
  write('2');
  press('Backspace', { keyCode: 8 });
  view.current!.dispatch(view.current!.state.replaceSelection('3'));
  expect(text()).toBe('SELECT 1');
  expect(change).not.toHaveBeenCalled();
  expect(content().getAttribute('aria-readonly')).toBe('true');
});

it.each([undefined, vi.fn()])('writes no line at Ctrl Enter, with something to run or without', async (run) => {
  await open({ run });
  press('Enter', { ctrlKey: true, keyCode: 13 });
  expect(text()).toBe('SELECT 1');
  if (run) expect(run).toHaveBeenCalledExactlyOnceWith('SELECT 1');
});

it('says what it is for', async () => {
  await open({ description: 'It reads window_calls.', isRequired: true });
  expect(content().getAttribute('aria-label')).toBe('SQL statement');
  expect(content().getAttribute('aria-description')).toBe('It reads window_calls.');
  expect(content().getAttribute('aria-required')).toBe('true');
  on.leave();
  await open({});
  expect(content().hasAttribute('aria-description')).toBe(false);
  expect(content().hasAttribute('aria-required')).toBe(false);
});

it('has another statement written into it only where the edition changes', async () => {
  await open({ edition: 0 });
  await open({ edition: 0, statement: 'SELECT 2' });
  expect(text()).toBe('SELECT 1');
  await open({ edition: 1, statement: 'SELECT 2' });
  expect(text()).toBe('SELECT 2');
  expect(change).toHaveBeenCalledExactlyOnceWith('SELECT 2');
});
