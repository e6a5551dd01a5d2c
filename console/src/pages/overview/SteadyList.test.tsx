import { act } from 'react';
import { expect, it } from 'vitest';

import { stage } from '../../testing';
import { SteadyList } from './SteadyList';

const on = stage();

/** Each row is its id and what is said of it. */
function draw(...rows: string[]) {
  on.draw(
    <SteadyList rows={rows.map((row) => ({ id: row[0]!, words: row }))} most={3} empty="none">
      {({ words }) => (
        <li>
          <a href="#x">{words}</a>
        </li>
      )}
    </SteadyList>,
  );
}

const list = () => on.host.querySelector('.steady')!;
const shown = () => [...on.host.querySelectorAll('li')].map((row) => row.textContent);
const button = () => on.host.querySelector('button');
const point = (type: 'pointerover' | 'pointerout') =>
  act(() => void list().dispatchEvent(new MouseEvent(type, { bubbles: true, relatedTarget: document.body })));

it('has the first rows in their order while nobody is at it', () => {
  draw('a1', 'b1', 'c1', 'd1');
  draw('d2', 'b2', 'a2', 'c2');
  expect(shown()).toEqual(['d2', 'b2', 'a2']);
  expect(button()).toBeNull();
});

it('changes rows where they are under the pointer, and says how many are new', () => {
  draw('a1', 'b1', 'c1');
  point('pointerover');
  draw('z1', 'c2', 'a2', 'b2');
  expect(shown()).toEqual(['a2', 'b2', 'c2']);
  expect(button()!.textContent).toBe('Show 1 new');
  point('pointerout');
  expect(shown()).toEqual(['z1', 'c2', 'a2']);
  expect(button()).toBeNull();
});

it('keeps a row under the pointer that is gone from the list', () => {
  draw('a1', 'b1');
  point('pointerover');
  draw();
  expect(shown()).toEqual(['a1', 'b1']);
  expect(list().textContent).not.toContain('none');
  point('pointerout');
  expect(shown()).toEqual([]);
  expect(list().textContent).toContain('none');
});

it('shows the new ones when they are asked for', () => {
  draw('a1', 'b1', 'c1');
  point('pointerover');
  draw('z1', 'a1', 'b1', 'c1');
  act(() => button()!.click());
  expect(shown()).toEqual(['z1', 'a1', 'b1']);
  draw('y1', 'z1', 'a1');
  expect(shown()).toEqual(['z1', 'a1', 'b1']);
});

it('stays under the focus, also when the pointer leaves', () => {
  draw('a1', 'b1');
  act(() => on.host.querySelector('a')!.focus());
  point('pointerover');
  point('pointerout');
  draw('z1', 'b1', 'a1');
  expect(shown()).toEqual(['a1', 'b1']);
  act(() => on.host.querySelector('a')!.blur());
  expect(shown()).toEqual(['z1', 'b1', 'a1']);
});

it('shows the first row at once where there was none', () => {
  draw();
  point('pointerover');
  draw('a1');
  expect(shown()).toEqual(['a1']);
  expect(button()).toBeNull();
});
