import { act } from 'react';
import { beforeEach, expect, it } from 'vitest';

import { stage } from '../../testing';
import { Tables } from './Tables';

const column = (name: string, words: string, unit?: string) => ({ name, type: 'Int64', unit, words });
let refuses = false;
const on = stage({
  answer: ({ pathname }) => {
    if (pathname !== '/api/v1/lake/schema') return undefined;
    if (refuses) return Response.json({ type: 'problem', status: 503, detail: 'the lake is away' }, { status: 503 });
    return Response.json({
      tables: [
        { name: 'calls', words: 'every call', columns: [column('took', 'how long', 'ms'), column('path', 'its path')] },
        { name: 'actions', words: 'what was done', columns: [column('reason', 'why')] },
      ],
      functions: [{ name: 'abs', call: 'abs(number)', words: '\nwithout its sign\n\nand more of that' }],
    });
  },
});
let inserted: unknown[][];
beforeEach(() => {
  inserted = [];
  refuses = false;
});

const show = () => on.show(<Tables insert={(...what) => inserted.push(what)} />);
const folds = () => Array.from(on.host.querySelectorAll('details'));
const names = () => folds().map((fold) => fold.querySelector('summary code')!.textContent);
const entries = () => Array.from(on.host.querySelectorAll('details[open] li'), (one) => one.textContent);

async function find(text: string) {
  const field = on.host.querySelector('input')!;
  act(() => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(field, text);
    field.dispatchEvent(new Event('input', { bubbles: true }));
  });
  await on.settle();
}

it('has the tables as the lake says them, closed, and writes a name that is chosen', async () => {
  await show();
  expect(names()).toEqual(['calls', 'actions', 'functions']);
  expect(entries()).toEqual([]);
  for (const button of on.host.querySelectorAll<HTMLButtonElement>('li button')) act(() => button.click());
  // Into a function's parentheses.
  expect(inserted).toEqual([['took'], ['path'], ['reason'], ['abs()', 1]]);
});

it('opens what is found, with type, unit and words', async () => {
  await show();
  await find('long');
  expect(names()).toEqual(['calls']);
  expect(entries()).toEqual(['tookinteger, mshow long']);
  await find('sign');
  expect(entries()).toEqual(['abswithout its sign']);
  await find('nobody');
  expect(on.host.querySelector('[role=status]')!.textContent).toBe('Nothing is called so, or means that.');
  await find('');
  expect(entries()).toEqual([]);
});

it('says why it has no tables', async () => {
  refuses = true;
  on.client.setDefaultOptions({ queries: { retry: false } });
  await show();
  expect(on.host.querySelector('[role=alert]')!.textContent).toContain('the lake is away');
});
