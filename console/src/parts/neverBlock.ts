// Whom the guard rails protect from everybody: the API refuses to restrict them, also when a person asks.
import { useQuery } from '@tanstack/react-query';

import { api, got } from '../api/client';
import type { Action, Alert } from '../api/types';

export function useGuardRails() {
  return useQuery({
    queryKey: ['guard-rails'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/guard-rails', { signal })),
  });
}

/** The rule that names a consumer by user name, id, custom id or tag. */
function ruleOf(rules: string[], names: string[], tags: string[] = []): string | undefined {
  return rules.find((rule) => (rule.startsWith('tag:') ? tags.includes(rule.slice(4)) : names.includes(rule)));
}

/** The rule that protects whom an alert is about, as far as the alert says what they are called. */
export function protectingOfAlert(rules: string[], { entity, worst }: Alert): string | undefined {
  // The worst finding is of the same consumer.
  return ruleOf(rules, [entity.value, entity.label, worst.consumer_custom_id], worst.consumer_tags);
}

/** The rule that protects an action's target: one that names it, or one that made it a proposal and is still there. */
export function protectingOfAction(rules: string[], { target, state_reason }: Action): string | undefined {
  return (
    ruleOf(rules, [target.value, target.label]) ??
    rules.find((rule) => state_reason.includes(`never-block rule \`${rule}\``))
  );
}
