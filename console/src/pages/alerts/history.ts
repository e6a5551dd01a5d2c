// What happened to an alert: decisions from the audit log and comments, in one order, the newest first.
import type { Alert, AuditLine } from '../../api/types';

export interface Happening {
  key: string;
  at: number;
  by: string;
  /** What was decided; undefined for a comment. */
  what?: string;
  words: string;
}

/** The audit log says that somebody commented, and not what: the comment itself stands for that. */
export function happenings(lines: AuditLine[], comments: Alert['comments']): Happening[] {
  const decided = lines
    .filter((line) => line.what !== 'commented')
    .map(({ number, at_ms: at, by, what, detail: words }) => ({ key: `line ${number}`, at, by, what, words }));
  const said = comments.map(({ at_ms: at, by, text: words }, index) => ({ key: `comment ${index}`, at, by, words }));
  return [...decided, ...said.reverse()].sort((one, other) => other.at - one.at);
}
