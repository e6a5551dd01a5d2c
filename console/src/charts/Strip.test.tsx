import { expect, it } from 'vitest';

import { stage } from '../testing';
import { type Stretch, Strip } from './Strip';

const MINUTE = 60_000;
const RANGE = { since: 0, until: 10 * MINUTE };

const on = stage();

function draw(...strips: Stretch[][]) {
  on.draw(
    strips.map((stretches, index) => (
      <Strip key={index} label="Calls" range={RANGE} stepMs={MINUTE} steps={[]} stretches={stretches} />
    )),
  );
}

const stretch = (kind: Stretch['kind'], since: number, until: number): Stretch => ({
  id: `${kind} ${since}`,
  since: since * MINUTE,
  until: until * MINUTE,
  words: `of the kind ${kind}`,
  kind,
});
const titled = (within: Element = on.host) =>
  [...within.querySelectorAll('rect')].filter((rect) => rect.querySelector('title') !== null);

it('draws a gap as a hatched rect with a title', () => {
  draw([stretch('gap', 5, 10)]);
  const [gap] = titled();
  expect(gap!.querySelector('title')!.textContent).toBe('of the kind gap');
  // The strip is 800 wide, and has 40 for numbers on its left.
  expect([gap!.getAttribute('x'), gap!.getAttribute('width')]).toEqual(['420', '380']);
  const pattern = on.host.querySelector('pattern')!;
  expect(gap!.getAttribute('fill')).toBe(`url(#${pattern.id})`);
});

it('says of how long a time each of its bars is, once there are some', () => {
  const words = () => [...on.host.querySelectorAll('text')].map((text) => text.textContent);
  draw([]);
  expect(words()).not.toContain('calls in 1 min');
  const step = { start_ms: 0, calls: 3, client_errors: 0, server_errors: 0, refused: 0 };
  on.draw(<Strip label="Calls" range={RANGE} stepMs={MINUTE} steps={[step]} />);
  expect(words()).toContain('calls in 1 min');
});

it('hatches each strip of a page with its own pattern', () => {
  draw([stretch('gap', 0, 5)], [stretch('gap', 5, 10)]);
  const fills = [...on.host.querySelectorAll('.strip')].map((strip) => {
    const id = strip.querySelector('pattern')!.id;
    expect(titled(strip)[0]!.getAttribute('fill')).toBe(`url(#${id})`);
    return id;
  });
  expect(new Set(fills).size).toBe(2);
});

it('tells time that is not kept from a block', () => {
  draw([stretch('not_kept', -10, 2), stretch('action', 3, 4), stretch('gap', 11, 12)]);
  const drawn = titled().map((rect) => [rect.getAttribute('fill'), rect.getAttribute('x')]);
  expect(drawn).toEqual([
    ['var(--faint)', '40'],
    ['var(--refused)', '268'],
  ]);
});
