import { describe, expect, it } from 'vitest';

import { durationWords, NEW_POLICY, sentence } from './sentence';

describe('a policy in words', () => {
  it('observes', () => {
    expect(sentence(NEW_POLICY)).toBe(
      'When a detector finds something of severity high or worse, outrider says that it would have done this: ' +
        'block the consumer on everything that it calls, for 15 minutes.',
    );
  });

  it.each([
    ['15m', '15 minutes'],
    ['20s', '20 seconds'],
    ['1d', '1 day'],
    ['permanent', 'until somebody releases it'],
  ])('says how long %s is', (duration, words) => {
    expect(durationWords(duration)).toBe(words);
  });

  it('enforces, with conditions and exceptions', () => {
    const when = {
      ...NEW_POLICY.when,
      detectors: ['request_spike'],
      services: ['shop'],
      except_consumers: ['backoffice'],
    };
    const respond = { kind: 'rate_limit' as const, status: 429, message: '', limits: { minute: 30 } };
    expect(sentence({ ...NEW_POLICY, when, respond, mode: 'enforce', duration: 'permanent', scope: 'service' })).toBe(
      'When request spike finds something of severity high or worse at shop, outrider limits the consumer to 30 calls a ' +
        'minute on the service where it happened, until somebody releases it. Never backoffice.',
    );
  });
});
