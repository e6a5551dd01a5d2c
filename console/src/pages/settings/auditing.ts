// How the audit log is read: which of its logs, and what a read was about in words.
import type { AuditLine } from '../../api/types';
import { local } from '../../parts/words';

/** Each log, and all of them; decisions where the address says nothing, because reads are many. */
export const LOGS = [
  { value: 'decisions', label: 'Decisions' },
  { value: 'access', label: 'Access' },
  { value: 'reads', label: 'Reads' },
  { value: 'all', label: 'All logs' },
] as const;
type Log = (typeof LOGS)[number]['value'];

export function logOf(said: string | null): Log {
  return LOGS.find(({ value }) => value === said)?.value ?? 'decisions';
}

/** The page of what an entry is about, where that is an alert or an action. */
export function pageOf(subject: string): string | undefined {
  if (/^al_[0-9a-f]+$/.test(subject)) return `/alerts/${subject}`;
  return /^ac_[0-9a-f]+$/.test(subject) ? `/responses/${subject}` : undefined;
}

/** Reads have the filter of a request as it stood there. Other details, such as statements, have spaces or no names. */
const FILTER = /^[\w.-]+=[^\s&]*(&[^\s&]*)*$/;
/** The API cuts a filter that is longer. */
const FILTER_CHARS_MAX = 256;
const MOMENTS = ['since_ms', 'until_ms'];
/** It would be the beginning of a further name, of a value or of a name. */
const LIKE_A_NAME = /,\s|,[^]*:/;
const UNLIKE_A_NAME = /[\s,:]/;
/** They are drawn as nothing, or turn around what stands beside them. */
const UNSEEN = /[\p{Cc}\p{Cf}]/gu;

/** The detail of an entry as people read it: `entity=a%2Fb&state=open` is "entity: a/b, state: open". */
export function detailWords({ log, detail }: Pick<AuditLine, 'log' | 'detail'>): string {
  if (log !== 'reads' || !FILTER.test(detail)) return detail;
  const isCut = detail.length >= FILTER_CHARS_MAX;
  const whole = isCut ? detail.replace(/%[0-9a-f]?$/i, '') : detail;
  const pairs = [...new URLSearchParams(whole)];
  const parts = pairs.map(([name, value], index) => {
    const isWhole = !isCut || index < pairs.length - 1;
    return `${quoted(name, UNLIKE_A_NAME)}: ${valueWords(name, value, isWhole)}`;
  });
  return parts.join(', ').replace(UNSEEN, '\uFFFD') + (isCut ? '…' : '');
}

/** A part of a moment would be another moment. */
function valueWords(name: string, value: string, isWhole: boolean): string {
  if (isWhole && MOMENTS.includes(name) && /^\d{1,15}$/.test(value)) return local(Number(value));
  return quoted(value, LIKE_A_NAME);
}

/** In quotes where it looks like something else. These quotes are never its own. */
function quoted(text: string, needsQuotes: RegExp): string {
  const words = text.replace(/[“”]/g, '"');
  return needsQuotes.test(words) ? `“${words}”` : words;
}
