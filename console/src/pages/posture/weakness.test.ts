import { expect, it } from 'vitest';

import { OWASP_IDS, owaspUrl, owaspWords } from './owasp';
import { CHECKS, EXCEPTED, RISK, WEAKNESS } from './testing';
import {
  alertEntity,
  byOwasp,
  checkWords,
  dayIn,
  endOfDay,
  exceptionOf,
  gravity,
  partsOfScore,
  placeOf,
  standingOf,
} from './weakness';

it('tells states apart, and reads an exception', () => {
  expect([standingOf('open'), standingOf('fixed'), standingOf(EXCEPTED.state)]).toEqual(['open', 'fixed', 'excepted']);
  expect(exceptionOf(EXCEPTED.state)?.reason).toBe('the partner moves in May');
  expect(exceptionOf('open')).toBeUndefined();
});

it('calls a check by its title, and before that is known by its name', () => {
  expect(checkWords('plain_http', CHECKS)).toBe('Plain HTTP');
  expect(checkWords('weak_tls', CHECKS)).toBe('Weak tls');
});

it('says where a weakness is, and under whom its alert', () => {
  const { service, service_name, ...rest } = WEAKNESS;
  expect([service, placeOf(WEAKNESS), alertEntity(WEAKNESS)]).toEqual(['s-shop', service_name, 's-shop']);
  const none = { ...rest, service: '', service_name: '' };
  expect([placeOf(none), alertEntity({ ...none, subject: { gateway: { gateway: 'kong' } } })]).toEqual([
    'kong',
    'kong',
  ]);
  expect(alertEntity({ ...none, subject: { consumer: { gateway: 'kong', consumer: 'c-1' } } })).toBe('c-1');
  expect(alertEntity({ ...none, subject: { credential: { gateway: 'kong', credential: 'cr-1' } } })).toBe('cr-1');
});

it('adds up by OWASP id what checks have found', () => {
  const counts = {
    by_state: { open: 4 },
    open_by_severity: { high: 4 },
    open_by_check: { unauthenticated_access: 1, mixed_authentication: 3 },
  };
  expect([...byOwasp(counts, CHECKS)]).toEqual([
    ['API2:2023', 4],
    ['API8:2023', 0],
  ]);
});

it('knows what OWASP calls its ids, and where each is explained', () => {
  expect(owaspWords('API8:2023')).toBe('API8 Security Misconfiguration');
  expect(owaspUrl('API1:2023')).toBe(
    'https://owasp.org/API-Security/editions/2023/en/0xa1-broken-object-level-authorization/',
  );
  expect(owaspUrl(OWASP_IDS[9]!)).toBe(
    'https://owasp.org/API-Security/editions/2023/en/0xaa-unsafe-consumption-of-apis/',
  );
  expect([owaspWords('API1:2031'), owaspUrl('API1:2031')]).toEqual(['API1:2031', undefined]);
});

it('ends an exception with its day, where one is', () => {
  expect(endOfDay('2026-12-31')).toBe(new Date(2027, 0, 1).getTime());
  expect(dayIn(1, new Date(2026, 1, 28, 23, 59).getTime())).toBe('2026-03-01');
});

it('draws a score to 10, and to all that makes it where that is more', () => {
  expect(partsOfScore(RISK).map(({ width }) => width)).toEqual(['40%', '25%', '9%']);
  const factors = [...RISK.factors, ...RISK.factors];
  const sum = partsOfScore({ ...RISK, factors }).reduce((total, { width }) => total + Number.parseFloat(width), 0);
  expect(sum).toBeCloseTo(100);
});

it.each([
  [0, 'info'],
  [0.1, 'low'],
  [2, 'medium'],
  [4, 'high'],
  [7, 'critical'],
])('has a colour for %s', (score, looks) => expect(gravity(score)).toBe(looks));
