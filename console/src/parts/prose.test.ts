import { expect, it } from 'vitest';

import { blocksOf, inlineOf } from './prose';

it('reads headings, paragraphs, lists and code', () => {
  const page =
    '# Plain HTTP\n\nA service\nanswers.\n\n## References\n\n- One\n  goes on\n- Two\n\n```lua\n-- access\n\nlocal x\n```\n';
  expect(blocksOf(page)).toEqual([
    { kind: 'heading', level: 1, words: [{ text: 'Plain HTTP' }] },
    { kind: 'paragraph', words: [{ text: 'A service answers.' }] },
    { kind: 'heading', level: 2, words: [{ text: 'References' }] },
    { kind: 'list', items: [[{ text: 'One goes on' }], [{ text: 'Two' }]] },
    { kind: 'code', text: '-- access\n\nlocal x' },
  ]);
});

it('reads code that never ends, and a list right below words', () => {
  expect(blocksOf('words\n- item\n```\nno end')).toEqual([
    { kind: 'paragraph', words: [{ text: 'words' }] },
    { kind: 'list', items: [[{ text: 'item' }]] },
    { kind: 'code', text: 'no end' },
  ]);
});

it('tells code and links from text, and leaves the rest as it is', () => {
  expect(inlineOf('`PATCH /routes/{route}` as [that page](../mixed/README.md) says: <b>')).toEqual([
    { code: 'PATCH /routes/{route}' },
    { text: ' as ' },
    { text: 'that page', link: '../mixed/README.md' },
    { text: ' says: <b>' },
  ]);
  expect(inlineOf('a ` alone')).toEqual([{ text: 'a ` alone' }]);
});
