import { act, useState } from 'react';
import { expect, it } from 'vitest';

import { stage } from '../testing';
import { NumberField } from './NumberField';

const on = stage();
let told: (number | null)[] = [];

function Form({ isNeeded }: { isNeeded: boolean }) {
  const [value, setValue] = useState<number | null>(30);
  const change = (next: number | null) => {
    told.push(next);
    setValue(next);
  };
  return <NumberField aria-label="Calls" min={1} required={isNeeded} value={value} change={change} />;
}

const field = () => on.host.querySelector('input')!;

function type(text: string) {
  act(() => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(field(), text);
    field().dispatchEvent(new Event('input', { bubbles: true }));
  });
}

it.each([
  ['one that has to be there', true, [15], '15'],
  ['one that need not be there', false, [null, 15], '15'],
])('lets the field of %s be empty while a number is typed', (_, isNeeded, expected, shown) => {
  told = [];
  on.draw(<Form isNeeded={isNeeded} />);
  expect(field().value).toBe('30');
  act(() => field().focus());
  type('');
  expect(field().value).toBe('');
  expect(field().checkValidity()).toBe(!isNeeded);
  type('15');
  act(() => field().blur());
  expect(told).toEqual(expected);
  expect(field().value).toBe(shown);
});

it('shows the number that stands when it is left empty, and refuses one that is too small', () => {
  on.draw(<Form isNeeded />);
  act(() => field().focus());
  type('');
  act(() => field().blur());
  expect(field().value).toBe('30');
  type('0');
  expect(field().checkValidity()).toBe(false);
});
