// Who may not stop being an admin, because nobody could do what only admins may.
import type { Schemas } from '../../api/client';

type Person = Schemas['Person'];

/** What the API holds to: whom the identity provider lets in it may lock out, and tokens that expire do not last. */
function isLasting(person: Person): boolean {
  return person.role === 'admin' && person.disabled_ms === null && person.issuer === null;
}

export function isLastAdmin(person: Person, people: Person[], tokens: Schemas['TokenRow'][]): boolean {
  const hasToken = tokens.some(
    (token) => token.role === 'admin' && token.revoked_ms === null && token.expires_ms === null,
  );
  return !hasToken && isLasting(person) && people.filter(isLasting).length === 1;
}
