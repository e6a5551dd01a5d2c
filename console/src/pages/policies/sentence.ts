// A policy in words.
import { type Policy, type Severity } from '../../api/types';
import { detectorName } from '../../parts/words';
import { DURATIONS } from './durations';

export const NEW_POLICY: Policy = {
  name: '',
  description: '',
  enabled: true,
  mode: 'observe',
  when: {
    detectors: [],
    severity_min: 'high',
    confidence_min: null,
    services: [],
    routes: [],
    endpoints: [],
    consumers: [],
    consumer_tags: [],
    except_consumers: [],
  },
  respond: { kind: 'block', status: 403, message: 'Blocked. Contact the API team.' },
  scope: 'consumer',
  duration: '15m',
};

export const SCOPE_WORDS: Record<Policy['scope'], string> = {
  consumer: 'everything that it calls',
  service: 'the service where it happened',
  route: 'the route where it happened',
};

function listed(names: string[], last = 'or'): string {
  return names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} ${last} ${names.at(-1)!}`;
}

function atLeast(severity: Severity | null): string {
  return severity === null
    ? 'anything'
    : severity === 'critical'
      ? 'something critical'
      : `something of severity ${severity} or worse`;
}

export function durationWords(duration: string): string {
  const known = DURATIONS.find((one) => one.value === duration)?.label;
  const [, number, unit] = /^(\d+)([smhd])$/.exec(duration) ?? [];
  if (known || !number || !unit) return known ?? duration;
  const name = { s: 'second', m: 'minute', h: 'hour', d: 'day' }[unit] ?? unit;
  return `${number} ${name}${number === '1' ? '' : 's'}`;
}

/** For how long something is done. */
export function untilWords(duration: string): string {
  return duration === 'permanent' ? 'until somebody releases it' : `for ${durationWords(duration)}`;
}

export function sentence({ when, respond, scope, duration, mode, enabled }: Policy): string {
  const who = when.detectors.length === 0 ? 'a detector' : listed(when.detectors.map(detectorName)).toLowerCase();
  const about = [
    when.consumers.length > 0 ? `about ${listed(when.consumers)}` : '',
    when.consumer_tags.length > 0 ? `about a consumer tagged ${listed(when.consumer_tags)}` : '',
    when.services.length > 0 ? `at ${listed(when.services)}` : '',
    when.routes.length > 0 ? `on the route ${listed(when.routes)}` : '',
    when.endpoints.length > 0 ? `at ${listed(when.endpoints)}` : '',
    when.confidence_min !== null ? `with a confidence of ${Math.round(when.confidence_min * 100)} % or more` : '',
  ].filter(Boolean);
  const limits = respond.kind === 'rate_limit' ? Object.entries(respond.limits).filter(([, most]) => most != null) : [];
  const what =
    respond.kind === 'block'
      ? 'blocks the consumer'
      : `limits the consumer to ${listed(
          limits.map(([window, most]) => `${String(most)} calls a ${window}`),
          'and',
        )}`;
  const doing =
    mode === 'enforce'
      ? what
      : `says that it would have done this: ${what.replace(/^blocks/, 'block').replace(/^limits/, 'limit')}`;
  const except = when.except_consumers.length > 0 ? ` Never ${listed(when.except_consumers)}.` : '';
  return `${enabled ? '' : '(Off.) '}When ${who} finds ${[atLeast(when.severity_min), ...about].join(' ')}, outrider ${doing} on ${SCOPE_WORDS[scope]}, ${untilWords(duration)}.${except}`;
}
