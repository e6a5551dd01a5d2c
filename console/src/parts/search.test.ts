import { describe, expect, it } from 'vitest';

import { entityTerm, splitTerms, term, toggledTerm, withTerm } from './search';

describe('searches', () => {
  it.each([
    ['status', '403', false, 'status:403'],
    ['status', '403', true, '-status:403'],
    ['path', '/a b', false, 'path:"/a b"'],
    ['path', '/a,b*', false, 'path:"/a,b*"'],
    ['consumer', '-odd', false, 'consumer:"-odd"'],
    ['consumer', 'say "hi"', false, 'consumer:"say hi"'],
  ])('%s %s', (field, value, isNot, written) => {
    expect(term(field, value, isNot)).toBe(written);
  });

  it('keep what is in quotes together', () => {
    expect(splitTerms('a:"b c" -d:e last 7d')).toEqual(['a:"b c"', '-d:e', 'last', '7d']);
  });

  it('have a term once, and not its opposite', () => {
    expect(withTerm('status:403 method:GET', 'status:403')).toBe('method:GET status:403');
    expect(withTerm('status:403', '-status:403')).toBe('-status:403');
    expect(withTerm('', 'ip:::1')).toBe('ip:::1');
  });

  it('have a term, or have it no more', () => {
    expect(toggledTerm('path:"/a b" status:403', 'method:GET')).toBe('path:"/a b" status:403 method:GET');
    expect(toggledTerm('method:GET path:"/a b"', 'method:GET')).toBe('path:"/a b"');
    expect(toggledTerm('-method:GET', 'method:GET')).toBe('method:GET');
  });

  it('find an entity', () => {
    expect(entityTerm('network', '64496')).toBe('asn:64496');
    expect(entityTerm('business', 'merchant_id:4711')).toBe('entity.merchant_id:4711');
  });
});
