import { expect, it } from 'vitest';

import { filesOf } from './files';

const NOW = 1_795_862_400_000;
const DAY_MS = 86_400_000;

it('says of each file what it is, how old, and what is wrong', () => {
  const files = filesOf(
    {
      databases: [
        {
          file: 'geo/city.mmdb',
          type: 'GeoLite2-City',
          built_ms: NOW - 61 * DAY_MS,
          bytes: 64_000_000,
          loaded_ms: 5,
          problem: null,
        },
        {
          file: 'geo/asn.mmdb',
          type: null,
          built_ms: null,
          bytes: null,
          loaded_ms: null,
          problem: 'it cannot be read',
        },
      ],
      lists: [
        { file: 'geo/tor.txt', class: 'tor', entries: 1200, bad_lines: 2, loaded_ms: 7, problem: null },
        {
          file: 'geo/vpn.txt',
          class: 'vpn',
          entries: null,
          bad_lines: null,
          loaded_ms: null,
          problem: 'it is missing',
        },
      ],
    },
    NOW,
  );
  expect(files).toEqual([
    {
      file: 'geo/city.mmdb',
      what: 'GeoLite2-City',
      builtMs: NOW - 61 * DAY_MS,
      isOld: true,
      holds: '64 MB',
      readMs: 5,
      badLines: 0,
      problem: undefined,
    },
    {
      file: 'geo/asn.mmdb',
      what: 'database',
      builtMs: undefined,
      isOld: false,
      holds: '–',
      readMs: undefined,
      badLines: 0,
      problem: 'it cannot be read',
    },
    {
      file: 'geo/tor.txt',
      what: 'list of tor',
      isOld: false,
      holds: '1,200 entries',
      readMs: 7,
      badLines: 2,
      problem: undefined,
    },
    {
      file: 'geo/vpn.txt',
      what: 'list of vpn',
      isOld: false,
      holds: '–',
      readMs: undefined,
      badLines: 0,
      problem: 'it is missing',
    },
  ]);
});

const database = { file: 'geo/city.mmdb', type: 'GeoLite2-City', bytes: 64_000_000, loaded_ms: 5, problem: null };

it.each([
  [60 * DAY_MS, false],
  [61 * DAY_MS - 1, false],
  [61 * DAY_MS, true],
  [-DAY_MS, false],
])('takes a database that was built %d ms ago for an old one as doctor does: %s', (age, isOld) => {
  expect(filesOf({ databases: [{ ...database, built_ms: NOW - age }] }, NOW)).toMatchObject([{ isOld }]);
});

it('says no size of a database that was refused, beside what is in force', () => {
  const refused = { ...database, bytes: 12, problem: 'it is cut' };
  expect(filesOf({ databases: [refused] }, NOW)).toMatchObject([{ what: 'GeoLite2-City', readMs: 5, holds: '–' }]);
});

it('counts one entry as one', () => {
  expect(filesOf({ lists: [{ file: 'tor.txt', entries: 1 }] }, NOW)).toMatchObject([{ holds: '1 entry' }]);
});

it('knows no file where none is named', () => {
  expect(filesOf({}, NOW)).toEqual([]);
});
