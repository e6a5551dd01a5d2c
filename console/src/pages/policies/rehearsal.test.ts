import { describe, expect, it } from 'vitest';

import type { Finding, Policy } from '../../api/types';
import { NEW_POLICY } from './sentence';
import { rehearse } from './rehearsal';
import { SPIKE } from './testing';

const MINUTE = 60_000;

const ENTITY = { kind: 'consumer', label: 'mallory', value: 'id-7', gateway: 'kong', workspace: 'default' };

/** One that is found five seconds after it happened. */
const at = (minute: number, more: object = {}) =>
  ({
    ...SPIKE,
    id: `f-${minute}`,
    entity: ENTITY,
    event_ms: minute * MINUTE,
    raised_ms: minute * MINUTE + 5000,
    ...more,
  }) as unknown as Finding;

const OTHER = { entity: { ...ENTITY, value: 'id-8' } };

describe('a policy by itself would have acted', () => {
  const cases: [string, Partial<Policy>, Finding[], acts: number[], beyond: number, alertsMin: number][] = [
    ['never without a finding', {}, [], [], 0, 0],
    ['not about what does not fit', {}, [at(1, { severity: 'low' })], [], 0, 0],
    ['once while an action runs', {}, [at(1), at(10), at(15)], [1], 0, 1],
    ['again after it ended, in whatever order they come', {}, [at(17), at(1)], [17, 1], 0, 1],
    ['once where nobody releases it', { duration: 'permanent' }, [at(1), at(500)], [1], 0, 1],
    ['for each consumer', {}, [at(1), at(2, OTHER)], [2, 1], 0, 2],
    ['once for two detectors', {}, [at(1), at(2, { detector: 'scraping' })], [1], 0, 2],
    ['for each service', { scope: 'service' }, [at(1), at(2, { service_id: 's-2' })], [2, 1], 0, 1],
    ['not on a route where there is none', { scope: 'route' }, [at(1)], [], 1, 1],
    ['not about an address', {}, [at(1, { entity: { ...ENTITY, kind: 'ip' } })], [], 1, 1],
    ['not about everybody', {}, [at(1, { target: { anonymous_consumer: true, untrusted: false } })], [], 1, 1],
    ['not where it is over when it is found', {}, [at(1, { raised_ms: 16 * MINUTE })], [], 0, 1],
  ];
  it.each(cases)('%s', (_, policy, findings, acts, beyond, alertsMin) => {
    const would = rehearse({ ...NEW_POLICY, ...policy }, findings);
    expect(would.actions.map(({ finding }) => finding.event_ms / MINUTE)).toEqual(acts);
    expect([would.beyond, would.alertsMin]).toEqual([beyond, alertsMin]);
  });

  it('until the duration after it happened is over', () => {
    const [action] = rehearse(NEW_POLICY, [at(1, { target: { anonymous_consumer: false, untrusted: true } })]).actions;
    expect(action).toMatchObject({ atMs: MINUTE + 5000, untilMs: 16 * MINUTE, asks: true });
  });
});
