// Why somebody does not come in with the identity provider. The address has a word for it, from a closed list.
const REFUSALS = new Map([
  ['denied', 'The identity provider did not let you in. Ask whoever runs it, or sign in with a password.'],
  ['not_begun', 'This sign-in took too long, or began in another browser. Begin again.'],
  ['no_role', 'You have no role in outrider. Ask one of its admins, or whoever runs the identity provider, for one.'],
  [
    'no_name',
    'The identity provider does not say what you are called. An admin has to set access.oidc.name_claim or scopes.',
  ],
  [
    'token',
    'What the identity provider says of you is not accepted. Begin again; if that does not help, the audit log says why.',
  ],
  ['name_taken', 'Somebody else has your name here already. An admin can set access.oidc.name_claim to another claim.'],
  ['disabled', 'You may not sign in any more. Ask an admin of outrider.'],
  ['too_many', 'There were too many tries to sign in. Wait a minute and begin again.'],
  [
    'provider_away',
    'The identity provider cannot be used at this moment. Try again later, or sign in with a password; outrider’s own log says why.',
  ],
  ['failed', 'Signing in with the identity provider failed. Sign in with a password; outrider’s own log says why.'],
]);

/** What to tell somebody who was sent back with this word; undefined for one that nobody knows. */
export function refusalWords(reason: string | null): string | undefined {
  return reason === null ? undefined : REFUSALS.get(reason);
}
