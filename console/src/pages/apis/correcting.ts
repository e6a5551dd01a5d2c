// What somebody may decide about a path template, and what that does, in a sentence.
import type { Endpoint, TemplateChange, TemplateDecision } from '../../api/types';

/** A part of a template between slashes. */
export interface Segment {
  text: string;
  /** The template before it, such as `/users`; nothing for the first. */
  before: string;
  /** What it is called, where all of it is a parameter. */
  parameter?: string;
}

export function segmentsOf(template: string): Segment[] {
  let before = '';
  const segments: Segment[] = [];
  // What is behind `#` is an operation, which is no segment: `/mcp#tools/list`.
  const [path = ''] = template.split('#');
  for (const text of path.split('/').filter(Boolean)) {
    segments.push({ text, before, parameter: /^\{([^{}]+)\}$/.exec(text)?.[1] });
    before += `/${text}`;
  }
  return segments;
}

export function isParameter(segment: Segment): segment is Segment & { parameter: string } {
  return segment.parameter !== undefined;
}

/** A decision is about whole segments: `{id}.json` and `{latitude},{longitude}` are no parameter and no name. */
export function canBeMerged({ text, parameter }: Segment): boolean {
  return parameter !== undefined || !/[{}]/.test(text);
}

export type Correction =
  | { kind: 'rename'; segment: Segment; name: string }
  | { kind: 'split'; segment: Segment; value: string }
  | { kind: 'merge'; segment: Segment; name: string }
  | { kind: 'pin'; method: string | null }
  | { kind: 'ignore'; method: string | null };

export type CorrectionKind = Correction['kind'];

/** As the API takes a parameter's name. */
export const NAME_PATTERN = '[A-Za-z_][A-Za-z0-9_.\\-]{0,63}';
const NAME = new RegExp(`^${NAME_PATTERN}$`);

/** Whether nothing is missing, and the API would take what was typed. */
export function isComplete(correction: Correction): boolean {
  if (correction.kind === 'split') return /^(?!\.{1,2}$)[^/{}%;#]{1,256}$/.test(correction.value);
  if (correction.kind === 'rename' || correction.kind === 'merge') return NAME.test(correction.name);
  return true;
}

function changeOf(correction: Correction): TemplateChange {
  switch (correction.kind) {
    case 'rename':
      return { rename: { parameter: correction.name } };
    case 'split':
      return { split: { value: correction.value } };
    case 'merge':
      return { merge: { values: [] } };
    case 'pin':
      return { pin: { method: correction.method } };
    case 'ignore':
      return { ignore: { method: correction.method } };
  }
}

/** The template that is meant: up to the segment, where the decision is about one. */
function meantBy(correction: Correction, template: string): string {
  switch (correction.kind) {
    case 'rename':
    case 'split':
      return `${correction.segment.before}/${correction.segment.text}`;
    case 'merge':
      return `${correction.segment.before}/{${correction.name}}`;
    default:
      return template;
  }
}

export function decisionOf({ key }: Pick<Endpoint, 'key'>, correction: Correction): TemplateDecision {
  const { gateway, workspace, service } = key;
  const template = meantBy(correction, key.template);
  return { gateway, workspace, service, template, change: changeOf(correction), origin: 'operator' };
}

/** What will happen. Where a word is still missing it has a place for it. */
export function willHappen(correction: Correction, template: string): string {
  switch (correction.kind) {
    case 'rename':
      return `${correction.segment.text} in ${template} is called {${correction.name || '…'}} from now on, also in every other template under ${correction.segment.before || '/'}; no call moves.`;
    case 'split':
      return `${correction.segment.before}/${correction.value || '…'} becomes a path of its own, with all below it, from its next call on; ${correction.segment.text} keeps the other values and the history.`;
    case 'merge':
      return `Every text after ${correction.segment.before || '/'} becomes a value of {${correction.name || '…'}}, and endpoints that differ in nothing else become one: the oldest lives on, and the others lead to it.`;
    case 'pin':
      return `${template} stands as it is written, whatever is learned, and ${callsOf(correction.method)} whose path fits belongs to it.`;
    case 'ignore':
      return `${upper(callsOf(correction.method))} under ${template} leaves the inventory, and makes no endpoint; the calls stay searchable.`;
  }
}

function callsOf(method: string | null): string {
  return method === null ? 'every call' : `every ${method} call`;
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What was decided, in a few words; one of a newer outrider says its name. */
export function changeWords(change: TemplateChange): string {
  if ('rename' in change) return `Called {${change.rename.parameter}}`;
  if ('split' in change) return `Split off: ${change.split.value}`;
  if ('merge' in change) {
    const { values } = change.merge;
    return values.length === 0 ? 'All values merged' : `Merged: ${values.join(', ')}`;
  }
  if ('pin' in change) return `Pinned for ${change.pin.method ?? 'every method'}`;
  if ('ignore' in change) return `Ignored for ${change.ignore.method ?? 'every method'}`;
  return Object.keys(change)[0] ?? 'Decided';
}
