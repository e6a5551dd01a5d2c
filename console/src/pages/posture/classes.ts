// Classes of data in words.
import type { ClassRow } from '../../api/types';
import { count } from '../../parts/words';

const FAMILY_WORDS: Record<string, string> = {
  personal: 'Personal',
  payment: 'Payment',
  credentials: 'Credentials',
  health: 'Health',
  location: 'Location',
  technical: 'Technical',
  own: 'Of the settings',
};

/** Whose data it is decides how it looks. */
const FAMILY_LOOKS: Record<string, string> = {
  personal: 'medium',
  payment: 'high',
  credentials: 'high',
  health: 'high',
  location: 'low',
};

export function familyWords(family: string): string {
  return FAMILY_WORDS[family] ?? family;
}

export function familyLooks(family: string): string {
  return FAMILY_LOOKS[family] ?? '';
}

/** `payment_card` is "payment card". */
export function classWords(name: string): string {
  return name.replaceAll('_', ' ');
}

const LOCATIONS = ['path', 'query', 'header', 'field'];

/** Where it is: `query 2 · header 1`, in parameters. */
export function locationWords({ parameters }: Pick<ClassRow, 'parameters'>): string {
  const named = Object.entries(parameters).sort(([one], [other]) => LOCATIONS.indexOf(one) - LOCATIONS.indexOf(other));
  return named.map(([location, number]) => `${location} ${count(number)}`).join(' · ');
}
