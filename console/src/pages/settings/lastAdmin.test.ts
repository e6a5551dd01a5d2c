import { expect, it } from 'vitest';

import type { Schemas } from '../../api/client';
import { isLastAdmin } from './lastAdmin';

type Person = Schemas['Person'];
type Token = Schemas['TokenRow'];

const person = (name: string, differs: Partial<Person> = {}): Person => ({
  name,
  display_name: name,
  role: 'admin',
  created_ms: 1,
  created_by: 'setup',
  issuer: null,
  disabled_ms: null,
  last_seen_ms: null,
  ...differs,
});
const token = (differs: Partial<Token> = {}) =>
  ({ name: 'robot', role: 'admin', expires_ms: null, revoked_ms: null, ...differs }) as Token;

it.each<[string, Person, Person[], Token[], boolean]>([
  ['alone', person('anna'), [], [], true],
  ['beside another admin', person('anna'), [person('bob')], [], false],
  ['beside a disabled one', person('anna'), [person('bob', { disabled_ms: 1 })], [], true],
  ['beside one of the identity provider', person('anna'), [person('bob', { issuer: 'https://id' })], [], true],
  ['beside others who are none', person('anna'), [person('bob', { role: 'responder' })], [], true],
  ['no admin at all', person('anna', { role: 'viewer' }), [], [], false],
  ['disabled already', person('anna', { disabled_ms: 1 }), [person('bob')], [], false],
  ['beside a token', person('anna'), [], [token()], false],
  ['beside a token that expires', person('anna'), [], [token({ expires_ms: 9 })], true],
  ['beside a token that was revoked', person('anna'), [], [token({ revoked_ms: 9 })], true],
  ['beside a token for others', person('anna'), [], [token({ role: 'viewer' })], true],
])('is the last admin, or not: %s', (_, one, others, tokens, expected) => {
  expect(isLastAdmin(one, [one, ...others], tokens)).toBe(expected);
});
