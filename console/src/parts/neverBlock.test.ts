import { expect, it } from 'vitest';

import type { Action, Alert } from '../api/types';
import { protectingOfAction, protectingOfAlert } from './neverBlock';

const ENTITY = { kind: 'consumer', value: 'c-1', label: 'alice', gateway: 'kong', workspace: '' };

it.each<[string, string[], string | undefined]>([
  ['no rules', [], undefined],
  ['its name', ['bob', 'alice'], 'alice'],
  ['its id', ['c-1'], 'c-1'],
  ['its custom id', ['crm-7'], 'crm-7'],
  ['a tag', ['tag:vip'], 'tag:vip'],
  ['another tag', ['tag:vi'], undefined],
  ['a tag as a name', ['vip'], undefined],
  ['its name as a tag', ['tag:alice'], undefined],
])('protects whom an alert is about: %s', (_, rules, expected) => {
  const alert = { entity: ENTITY, worst: { consumer_custom_id: 'crm-7', consumer_tags: ['vip'] } } as Alert;
  expect(protectingOfAlert(rules, alert)).toBe(expected);
});

const REASON = 'its evidence is 12 min old, and beyond 10 min a person decides; never-block rule `tag:vip`';

it.each<[string, string[], string, string | undefined]>([
  ['named by the rule', ['alice'], '', 'alice'],
  ['a proposal because of a rule', ['tag:vip'], REASON, 'tag:vip'],
  ['a proposal because of a rule that is gone', ['tag:other'], REASON, undefined],
  ['a proposal because of another rule', ['tag:vi'], REASON, undefined],
  ['a proposal for other reasons', ['tag:vip'], 'the kill switch is on, set by anna', undefined],
])("protects an action's target: %s", (_, rules, state_reason, expected) => {
  expect(protectingOfAction(rules, { target: ENTITY, state_reason } as Action)).toBe(expected);
});
