// What decisions about templates would do, in words: first what takes the most away.
import type { Schemas } from '../../api/client';
import type { TemplateEffect } from '../../api/types';

type Kind = TemplateEffect['kind'];

interface Words {
  /** Of one, on its tag. */
  tag: string;
  looks: string;
  /** Of so many of them. */
  sum: (count: number) => string;
}

const verb = (count: number, word: string) => `${count === 1 ? 'is' : 'are'} ${word}`;

const WORDS: Record<Kind, Words> = {
  vanished: { tag: 'Leaves', looks: 'danger', sum: (count) => (count === 1 ? 'leaves' : 'leave') },
  merged: { tag: 'Merged', looks: 'warning', sum: (count) => verb(count, 'merged') },
  retemplated: {
    tag: 'Changed',
    looks: 'accent',
    sum: (count) => (count === 1 ? 'gets' : 'get') + ' another template',
  },
  renamed: { tag: 'Renamed', looks: 'accent', sum: (count) => verb(count, 'renamed') },
  made: { tag: 'New', looks: 'good', sum: (count) => verb(count, 'new') },
  awaited: { tag: 'Awaited', looks: '', sum: (count) => (count === 1 ? 'comes' : 'come') + ' with the first call' },
};
const ORDER = Object.keys(WORDS) as Kind[];

/** One that is unknown here is of a newer outrider, and says its name. */
export function tagOf({ kind }: TemplateEffect): { tag: string; looks: string } {
  return (WORDS as Partial<Record<Kind, Words>>)[kind] ?? { tag: kind, looks: '' };
}

export function sorted(effects: TemplateEffect[]): TemplateEffect[] {
  const place = ({ kind }: TemplateEffect) => (ORDER.includes(kind) ? ORDER.indexOf(kind) : ORDER.length);
  return [...effects].sort((one, other) => place(one) - place(other));
}

/** All of them in a sentence. */
export function summary({ items: effects, more }: Pick<Schemas['Preview'], 'items' | 'more'>): string {
  const counts = ORDER.map((kind) => [kind, effects.filter((one) => one.kind === kind).length] as const);
  const parts = counts.filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${WORDS[kind].sum(count)}`);
  if (parts.length === 0 && more === 0) return 'It would change no endpoint now.';
  const said = parts.length > 0 ? `Of the endpoints ${parts.join(', ')}.` : '';
  return more > 0 ? `${said} ${more} more would change that are not listed.`.trim() : said;
}
