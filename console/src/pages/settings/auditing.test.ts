import { describe, expect, it } from 'vitest';

import { local } from '../../parts/words';
import { detailWords, logOf, pageOf } from './auditing';

it.each([
  [null, 'decisions'],
  ['all', 'all'],
  ['reads', 'reads'],
  ['toString', 'decisions'],
])('shows for %j the log %s', (said, expected) => {
  expect(logOf(said)).toBe(expected);
});

it.each([
  ['al_00ff', '/alerts/al_00ff'],
  ['ac_00ff', '/responses/ac_00ff'],
  ['al_00ff, al_01', undefined],
  ['al_', undefined],
  ['al_../settings', undefined],
  ['policy al_00ff', undefined],
  ['', undefined],
])('leads from %j to %j', (subject, expected) => {
  expect(pageOf(subject)).toBe(expected);
});

describe('a read is said in words', () => {
  const cases: [string, string, string][] = [
    ['decoded', 'entity=a%2Fb&state=open%2Cacknowledged', 'entity: a/b, state: open,acknowledged'],
    ['with spaces', 'q=status%3A403+last%201h', 'q: status:403 last 1h'],
    ['a name without a value', 'kind=consumer&entity=', 'kind: consumer, entity: '],
    ['no further name by a comma', 'entity=x%2C%20by%3A%20bob', 'entity: “x, by: bob”'],
    ['nor by quotes', 'entity=x%E2%80%9D%2C%20by%3A%20%E2%80%9Cbob', 'entity: “x", by: "bob”'],
    ['nor by another space', 'entity=x%2C%C2%A0by%3A%20bob', 'entity: “x,\u00A0by: bob”'],
    ['nor by what looks like one', 'entity=x%2C%E2%A0%80by%3A%20bob', 'entity: “x,\u2800by: bob”'],
    ['nor by a name', 'a=1&x%E2%80%9D%2C%20by=bob', 'a: 1, “x", by”: bob'],
    ['nor by a name that is its value too', 'a=1&by%3A%20bob=', 'a: 1, “by: bob”: '],
    ['quotes are no quotes of ours', 'entity=%E2%80%9Cx%E2%80%9D', 'entity: "x"'],
    ['markup is text', 'entity=%3Cb%3Ex%3C%2Fb%3E', 'entity: <b>x</b>'],
    ['nothing that is not seen', 'entity=a%E2%80%AEb%0Ac', 'entity: a\uFFFDb\uFFFDc'],
    ['what no one can decode stays', 'entity=100%25%zz', 'entity: 100%%zz'],
    ['a moment as a time', 'since_ms=1795862400000', `since_ms: ${local(1_795_862_400_000)}`],
    ['a statement as it is', 'SELECT a FROM b WHERE c=1&2', 'SELECT a FROM b WHERE c=1&2'],
    ['a place as it is', '/var/backups/outrider', '/var/backups/outrider'],
    ['nothing', '', ''],
  ];
  it.each(cases)('%s', (_, detail, expected) => {
    expect(detailWords({ log: 'reads', detail })).toBe(expected);
  });

  it('says where it was cut', () => {
    const detail = `entity=${'a'.repeat(247)}%2F`.slice(0, 256);
    expect(detailWords({ log: 'reads', detail })).toBe(`entity: ${'a'.repeat(247)}…`);
  });

  it('says of a moment that was cut no time', () => {
    const rest = `&since_ms=1795862400000&until_ms=1795862`;
    const detail = `entity=${'a'.repeat(256 - 'entity='.length - rest.length)}${rest}`;
    expect(detail).toHaveLength(256);
    expect(detailWords({ log: 'reads', detail })).toMatch(
      `, since_ms: ${local(1_795_862_400_000)}, until_ms: 1795862…`,
    );
  });

  it('leaves decisions alone', () => {
    expect(detailWords({ log: 'decisions', detail: 'a=b%20c' })).toBe('a=b%20c');
  });
});
