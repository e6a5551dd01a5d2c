import { expect, it } from 'vitest';

import { filterIn, isFiltered, tabsOf } from './filter';

const inAddress = (address: string) => filterIn(new URLSearchParams(address));

it('shows open ones, the gravest first, where the address says nothing', () => {
  expect(inAddress('')).toMatchObject({ state: ['open'], sort: 'severity' });
  expect(isFiltered(inAddress('state=all&sort=opened'))).toBe(false);
});

it.each([
  ['state=all', undefined],
  ['state=excepted,fixed', ['excepted', 'fixed']],
  ['state=open,excepted,fixed', undefined],
  ['state=nonsense', ['open']],
])('reads the states of %s', (address, states) => expect(inAddress(address).state).toEqual(states));

it('reads what else is filtered by, and leaves out what is none', () => {
  const filter = inAddress('severity_min=high&check=weak_tls&owasp=API8:2023&service=shop&gateway=kong&endpoint=ep_1');
  expect(filter).toMatchObject({ severity_min: 'high', check: 'weak_tls', owasp: 'API8:2023', endpoint: 'ep_1' });
  expect(isFiltered(filter)).toBe(true);
  expect(inAddress('severity_min=terrible').severity_min).toBeUndefined();
});

it('has a tab for each state with how many there are, and one for several', () => {
  const tabs = tabsOf(['open'], { open: 3, fixed: 2 });
  expect(tabs.map(({ words, count, isShown }) => [words, count, isShown])).toEqual([
    ['Open', 3, true],
    ['Excepted', 0, false],
    ['Fixed', 2, false],
    ['All', 5, false],
  ]);
  expect(tabsOf(['open', 'excepted'], undefined).at(-1)).toEqual({
    words: 'Open + Excepted',
    state: 'open,excepted',
    isShown: true,
    count: undefined,
  });
});
