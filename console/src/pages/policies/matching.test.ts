import { describe, expect, it } from 'vitest';

import type { Condition, Finding } from '../../api/types';
import { matches } from './matching';

const ANY: Condition = {
  detectors: [],
  severity_min: null,
  confidence_min: null,
  services: [],
  routes: [],
  endpoints: [],
  consumers: [],
  consumer_tags: [],
  except_consumers: [],
};
const FINDING = {
  detector: 'request_spike',
  severity: 'high',
  confidence: 0.6,
  service_name: 'shop',
  service_id: 's1',
  route_name: '',
  route_id: '',
  endpoint: 'ep_1',
  endpoint_name: 'GET /items',
  consumer_custom_id: 'c-7',
  consumer_tags: ['partner'],
  entity: { kind: 'consumer', label: 'mallory', value: 'id-7', gateway: 'kong', workspace: '' },
} as unknown as Finding;

describe('a condition matches as outrider’s own rules say', () => {
  const cases: [string, Partial<Condition>, Partial<Finding>, boolean][] = [
    ['nothing given', {}, {}, true],
    ['the detector', { detectors: ['request_spike'] }, {}, true],
    ['another detector', { detectors: ['scraping'] }, {}, false],
    ['severe enough', { severity_min: 'high' }, {}, true],
    ['not severe enough', { severity_min: 'critical' }, {}, false],
    ['confident enough', { confidence_min: 0.6 }, {}, true],
    ['not confident enough', { confidence_min: 0.61 }, {}, false],
    ['a service by name', { services: ['shop'] }, {}, true],
    ['a service by id', { services: ['s1'] }, {}, true],
    ['a route where there is none', { routes: [''] }, {}, false],
    ['an endpoint by its words', { endpoints: ['GET /items'] }, {}, true],
    ['a consumer by custom id', { consumers: ['c-7'] }, {}, true],
    ['a consumer by tag', { consumer_tags: ['partner'] }, {}, true],
    ['excepted by name', { except_consumers: ['mallory'] }, {}, false],
    ['excepted by tag', { except_consumers: ['tag:partner'] }, {}, false],
    ['a hunt that no policy names', {}, { detector: 'hunt:admins' }, false],
    ['hunts as a family', { detectors: ['hunt'] }, { detector: 'hunt:admins' }, true],
    [
      'an address when consumers are named',
      { consumers: ['mallory'] },
      { entity: { ...FINDING.entity, kind: 'ip' } },
      false,
    ],
    ['an address otherwise', {}, { entity: { ...FINDING.entity, kind: 'ip' } }, true],
  ];
  it.each(cases)('%s', (_, when, finding, expected) => {
    expect(matches({ ...ANY, ...when }, { ...FINDING, ...finding })).toBe(expected);
  });
});
