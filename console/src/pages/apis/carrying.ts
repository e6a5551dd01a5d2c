// What an endpoint carries, in words.
import type { Schemas } from '../../api/client';
import type { EndpointInventory, ParameterInventory } from '../../api/types';
import { count } from '../../parts/words';

type AuthKind = Schemas['AuthCount']['kind'];

const AUTH_WORDS: Record<AuthKind, string> = {
  none: 'Nothing',
  key: 'A key',
  basic: 'Name and password',
  jwt: 'A JSON Web Token',
  oauth2: 'A token of OAuth 2',
  hmac: 'A signature',
  mutual_tls: 'A client certificate',
  authorization: 'An authorization header',
  session: 'A session',
  consumer: 'A known consumer',
  unknown: 'Not known what',
};

/** How callers authenticate; a way of a newer outrider stands for itself. */
export function authWords(kind: string): string {
  const known: Partial<Record<string, string>> = AUTH_WORDS;
  return known[kind] ?? kind.replaceAll('_', ' ');
}

/** `string · uuid`. */
export function typeWords({ value_type, format }: Pick<ParameterInventory, 'value_type' | 'format'>): string {
  return format ? `${value_type} · ${format}` : value_type;
}

/** The range of its numbers; nothing where it has none. */
export function rangeWords({ range }: Pick<ParameterInventory, 'range'>): string | undefined {
  if (!range) return undefined;
  return range.least === range.most ? count(range.least) : `${count(range.least)} – ${count(range.most)}`;
}

/** What its values are by kind, each with how many: for whom the type does not say enough. */
export function kindsTitle({ kinds }: Pick<ParameterInventory, 'kinds'>): string | undefined {
  if (kinds.length < 2) return undefined;
  return kinds.map(({ kind, values }) => `${kind.replaceAll('_', ' ')}: ${count(values)}`).join('\n');
}

interface Mixed {
  /** In a word, for the head of a panel. */
  word: string;
  /** Some get in with something that proves who they are, and others without. */
  isOpen: boolean;
  sentence: string;
}

/** What stands out where not all calls authenticate in the same way; undefined where all do. */
export function mixedAuth({ auth }: Pick<EndpointInventory, 'auth'>): Mixed | undefined {
  if (auth.length < 2) return undefined;
  const served = auth.find(({ kind }) => kind === 'none')?.calls_ok ?? 0;
  if (served > 0) {
    return {
      word: 'some without authentication',
      isOpen: true,
      sentence: `${count(served)} calls with nothing that proves who calls were answered 2xx, while others authenticate.`,
    };
  }
  if (auth.some(({ kind }) => kind === 'none')) return undefined;
  // What is not known may be one of the ways that are.
  if (auth.filter(({ kind }) => kind !== 'unknown').length < 2) return undefined;
  return {
    word: 'mixed',
    isOpen: false,
    sentence: 'Callers authenticate in more than one way.',
  };
}
