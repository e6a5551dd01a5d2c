// Reads the little Markdown that outrider's own pages are written in: headings, paragraphs, lists, code, links. What is something else
// stays text.

export type Inline = { text: string } | { code: string } | { link: string; text: string };

export type Block =
  | { kind: 'heading'; level: number; words: Inline[] }
  | { kind: 'paragraph'; words: Inline[] }
  | { kind: 'list'; items: Inline[][] }
  | { kind: 'code'; text: string };

const INLINE = /`([^`]+)`|\[([^\]]*)\]\(([^)\s]*)\)/g;
const HEADING = /^(#{1,4}) +(.*)$/;
const ITEM = /^[-*] +(.*)$/;

export function inlineOf(text: string): Inline[] {
  const parts: Inline[] = [];
  let at = 0;
  for (const found of text.matchAll(INLINE)) {
    if (found.index > at) parts.push({ text: text.slice(at, found.index) });
    parts.push(found[1] === undefined ? { link: found[3]!, text: found[2]! } : { code: found[1] });
    at = found.index + found[0].length;
  }
  if (at < text.length) parts.push({ text: text.slice(at) });
  return parts;
}

/** The blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  const lines = page.split(/\r?\n/);
  let [words, items]: [string[], string[]] = [[], []];
  const end = () => {
    if (words.length > 0) blocks.push({ kind: 'paragraph', words: inlineOf(words.join(' ')) });
    if (items.length > 0) blocks.push({ kind: 'list', items: items.map(inlineOf) });
    [words, items] = [[], []];
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at]!;
    const [heading, item] = [HEADING.exec(line), ITEM.exec(line)];
    if (line.startsWith('```')) {
      end();
      const from = at + 1;
      for (at = from; at < lines.length && !lines[at]!.startsWith('```');) at += 1;
      blocks.push({ kind: 'code', text: lines.slice(from, at).join('\n') });
    } else if (heading) {
      end();
      blocks.push({ kind: 'heading', level: heading[1]!.length, words: inlineOf(heading[2]!) });
    } else if (line.trim() === '') {
      end();
    } else if (item) {
      if (words.length > 0) end();
      items.push(item[1]!);
    } else if (items.length > 0) {
      // A line goes on with the item above it.
      items.push(`${items.pop()!} ${line.trim()}`);
    } else {
      words.push(line.trim());
    }
  }
  end();
  return blocks;
}
