// Whether an endpoint asks who calls: what its calls say of that.
import type { AccessFigures } from '../../api/types';
import { share } from '../../parts/words';

const KNOWN_WORDS: Record<string, string> = {
  credential: 'A credential that the gateway accepted',
  presented: 'A credential that the gateway did not check or accept',
  anonymous: 'The consumer for all without a name',
  nothing: 'Nothing',
};

const ORDER = Object.keys(KNOWN_WORDS);

/** In words; one of a newer outrider stands for itself. */
export function knownWords(how: string): string {
  return KNOWN_WORDS[how] ?? how;
}

/** In one order, whatever came first. */
export function inOrder(access: AccessFigures[]): AccessFigures[] {
  return [...access].sort((one, other) => ORDER.indexOf(one.how) - ORDER.indexOf(other.how));
}

function isOfNobody({ how }: AccessFigures): boolean {
  return how === 'anonymous' || how === 'nothing';
}

function served(access: AccessFigures[]): number {
  return access.reduce((sum, one) => sum + one.served, 0);
}

/**
 * The share of those served of whom nothing was known, where there are others, too: then one gets in with a credential and
 * without. Undefined where all are alike. What was refused says nothing: it is what should happen.
 */
export function mixedShare(access: AccessFigures[]): number | undefined {
  const [all, unknown] = [served(access), served(access.filter(isOfNobody))];
  return unknown > 0 && unknown < all ? unknown / all : undefined;
}

/** Who is let in, in a word for a list. Undefined where nobody was. */
export function accessWord(access: AccessFigures[]): { word: string; title: string; isMixed: boolean } | undefined {
  const all = served(access);
  if (all === 0) return undefined;
  const title = inOrder(access)
    .filter((one) => one.served > 0)
    .map((one) => `${knownWords(one.how)}: ${share(one.served / all)}`)
    .join('\n');
  const most = access.reduce((one, other) => (other.served > one.served ? other : one));
  if (mixedShare(access) !== undefined) return { word: 'mixed', title, isMixed: true };
  return { word: isOfNobody(most) ? 'open' : most.how, title, isMixed: false };
}
