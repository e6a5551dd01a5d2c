// Whether an endpoint asks who calls: what its calls say of that.
import type { Access, Known } from './questions';

export const KNOWN_WORDS: Record<Known, string> = {
  credential: 'A consumer, by a credential',
  consumer: 'A consumer, in another way',
  presented: 'A credential that the gateway does not know',
  anonymous: 'The consumer for all without a name',
  nothing: 'Nothing',
};

const ORDER = Object.keys(KNOWN_WORDS) as Known[];

/** In one order, whatever came first. */
export function inOrder(access: Access[]): Access[] {
  return [...access].sort((one, other) => ORDER.indexOf(one.how) - ORDER.indexOf(other.how));
}

/**
 * The share of those served of whom nothing was known, where there are others, too: then one gets in with a credential and
 * without. Undefined where all are alike. What was refused says nothing: it is what should happen.
 */
export function mixedShare(access: Access[]): number | undefined {
  let [known, unknown] = [0, 0];
  for (const { how, served } of access) {
    if (how === 'anonymous' || how === 'nothing') unknown += served;
    else known += served;
  }
  return known > 0 && unknown > 0 ? unknown / (known + unknown) : undefined;
}
