import { QueryClient } from '@tanstack/react-query';
import { act } from 'react';
import { afterEach, expect, it, vi } from 'vitest';

import type { Call, CallRow, SampleCall } from '../../api/types';
import { stage } from '../../testing';
import { Samples } from '../alerts/Samples';
import { CallsTable } from '../timeline/CallsTable';
import type { useCalls } from '../timeline/useCalls';

const NOW = Date.parse('2026-11-20T06:00:00Z');
const SCRIPT = '<img src=x onerror=alert(1)>';

const ROWS = [3, 2, 1].map((position) => ({
  position,
  call_index: 0,
  time_us: (NOW + position) * 1000,
  method: 'GET',
  path: `/orders/${position}`,
  status: 200,
  own_refusal: null,
})) as CallRow[];

const CALL: Call = {
  event_time: '2026-11-20T06:00:00.002500Z',
  started_time: '2026-11-20T06:00:00.000Z',
  received_time: '2026-11-20T06:00:01Z',
  position: 2,
  call_index: 0,
  gateway: 'kong',
  workspace: 'default',
  trusted: true,
  clock: 'as_reported',
  request_id: 'f1c0',
  endpoint_id: 'ep_1',
  service_name: 'shop',
  consumer_id: 'c-1',
  consumer_name: 'mallory',
  anonymous_consumer: false,
  credential_id: 'k-1',
  presented_credential: 'ps_k_1',
  session: 'ps_s_1',
  client_ip: '203.0.113.7',
  host: 'api.example.com',
  method: 'GET',
  path: `/orders/${SCRIPT}`,
  query: [
    { name: 'page', value: '1', kind: 1 },
    { name: 'page', value: '2', kind: 1 },
    { name: 'debug', kind: 0 },
    { name: 'a b', value: SCRIPT, kind: 1 },
  ],
  headers: [
    { name: 'authorization', kind: 3 },
    { name: 'x-token', value: 'ps_t_1', kind: 2, hidden_bytes: 18 },
  ],
  status: 403,
  answered_by: 'gateway',
  own_refusal: 'outrider-1',
  request_bytes: 312,
  response_bytes: 41,
  latency_total_ms: 12,
  latency_gateway_ms: 12,
  latency_upstream_ms: -1,
  response_type: 'application/json',
  asn: 64500,
  as_name: 'EXAMPLE',
  entities: [{ name: 'merchant_id', value: 'M-1' }],
};

let call: Response | undefined;
const at = stage({
  answer: ({ pathname }) => {
    if (pathname.startsWith('/api/v1/calls/')) return call?.clone() ?? Response.json({ call: CALL });
    if (pathname === '/api/v1/search') return Response.json({ items: ROWS, next: null });
    if (pathname === '/api/v1/endpoints/ep_1')
      return Response.json({ id: 'ep_1', key: { method: 'GET', template: '/orders/{id}' } });
    return undefined;
  },
  makeClient: () => new QueryClient({ defaultOptions: { queries: { retry: false } } }),
});

afterEach(() => vi.restoreAllMocks());

let readOn: () => Promise<boolean>;
const calls = {
  rows: ROWS,
  fresh: 0,
  onEnd: () => undefined,
  readOn: () => readOn(),
  isPending: false,
  hasNextPage: false,
  isFetchingNextPage: false,
  isFetchNextPageError: false,
} as unknown as ReturnType<typeof useCalls>;

function table(from = '/timeline?kind=consumer&entity=mallory') {
  // Without a layout a table has no rows in view.
  vi.spyOn(Element.prototype, 'clientHeight', 'get').mockReturnValue(800);
  call = undefined;
  readOn = () => new Promise(() => undefined);
  return at.show(<CallsTable calls={calls} search="" empty={null} />, from);
}

const panel = () => document.querySelector<HTMLElement>('[role=dialog]');
const press = async (key: string, target: Element = document.activeElement!) => {
  act(() => void target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })));
  await at.settle();
};
const linkOf = (words: string) =>
  [...panel()!.querySelectorAll('a')].find((one) => one.textContent === words)?.getAttribute('href');
const group = (title: string) =>
  [...panel()!.querySelectorAll('section')].find((one) => one.querySelector('h3')!.textContent === title);

it('opens from anywhere in its row, and says all that is known of it as text', async () => {
  await table();
  act(() => at.host.querySelector<HTMLElement>('a.whole')!.click());
  await at.settle();
  expect(at.address).toBe('/timeline?kind=consumer&entity=mallory&call=3-0');
  expect(at.asked.map((url) => url.pathname)).toContain('/api/v1/calls/3.0');
  expect(panel()!.querySelector('img')).toBeNull();
  expect(panel()!.querySelector('.call-line')!.textContent).toBe(`403 GET /orders/${SCRIPT}`);
  expect([...panel()!.querySelectorAll('h3')].map((one) => one.textContent)).toEqual([
    ...['Request', 'Answer', 'Who', 'Where from'],
    ...['Business entities', 'Query fields', 'Headers', 'Gateway'],
  ]);
  expect(group('Query fields')!.textContent).toBe(`Query fieldspage1 page2 debugno valuea b${SCRIPT}`);
  expect(group('Headers')!.textContent).toContain('authorizationhidden by the gateway');
  expect(group('Headers')!.textContent).toContain('x-tokenps_t_1 stands for 18 bytes');
  expect(group('Answer')!.textContent).toContain('a block or limit of outrider (outrider-1)');
  expect(group('Answer')!.textContent).toContain('Latency12 ms in all, 12 ms in the gateway');
  expect(group('Answer')!.textContent).not.toContain('upstream');
});

it.each([
  ['GET', 'method:GET'],
  ['api.example.com', 'host:api.example.com'],
  ['shop', 'service:shop'],
  ['403', 'status:403'],
  ['application/json', 'type:application/json'],
  ['kong', 'gateway:kong'],
])('leads from %s to everybody’s calls with it', async (words, search) => {
  await table('/timeline?kind=consumer&entity=mallory&call=3-0');
  expect(linkOf(words)).toBe(`/hunt?q=${encodeURIComponent(search)}`);
});

it.each([
  ['mallory', '/timeline?kind=consumer&entity=c-1'],
  ['k-1', '/timeline?kind=credential&entity=k-1'],
  ['ps_s_1', '/timeline?kind=session&entity=ps_s_1'],
  ['203.0.113.7', '/timeline?kind=ip&entity=203.0.113.7'],
  ['AS64500 EXAMPLE', '/timeline?kind=network&entity=64500'],
  ['M-1', '/timeline?kind=business&entity=merchant_id%3AM-1'],
])('leads from %s to its timeline, around a call of before', async (words, to) => {
  await table('/hunt?call=2-0');
  const ms = NOW + 2;
  expect(linkOf(words)).toBe(`${to}&since=${ms - 3_600_000}&until=${ms + 3_600_000}&gateway=kong`);
});

it('leads to its endpoint, and to the calls that have a value in common with it', async () => {
  await table('/hunt?call=2-0');
  expect(linkOf('GET /orders/{id}')).toBe('/apis/ep_1');
  const found = [...panel()!.querySelectorAll<HTMLAnchorElement>('.call-search')].map((one) =>
    one.getAttribute('href'),
  );
  const searches = ['request_id:f1c0', 'credential:ps_k_1', 'query.page:1', 'query.page:2', 'header.x-token:ps_t_1'];
  expect(found).toEqual(searches.map((search) => `/hunt?q=${encodeURIComponent(search)}`));
});

it('goes to the calls above and below by keys, and gives the focus back to the rows', async () => {
  await table();
  const rows = at.host.querySelector<HTMLElement>('.table-scroll')!;
  rows.focus();
  await press('j');
  await press('j');
  await press('Enter');
  expect(at.address).toContain('call=2-0');
  await press('j', panel()!);
  expect(at.address).toContain('call=1-0');
  await press('j', panel()!);
  expect(at.address).toContain('call=1-0');
  await press('k', panel()!);
  await press('k', panel()!);
  expect(at.address).toContain('call=3-0');
  await press('Escape', panel()!);
  expect(panel()).toBeNull();
  expect(at.address).toBe('/timeline?kind=consumer&entity=mallory');
  expect(document.activeElement).toBe(rows);
  expect(at.host.querySelector('.table-row.active')!.textContent).toContain('/orders/3');
});

/** A window in which there is room beside the page. */
function widen(px: number) {
  const least = (query: string) => Number(/min-width: (\d+)px/.exec(query)?.[1] ?? Infinity);
  vi.stubGlobal('matchMedia', (query: string) => ({
    matches: px >= least(query),
    addEventListener() {},
    removeEventListener() {},
  }));
}

const heads = () => [...at.host.querySelectorAll('[role=columnheader]')].map((one) => one.textContent);

it('stands beside its list where there is room, and the list goes on working', async () => {
  widen(1440);
  await table();
  expect(heads()).toContain('Latency');
  const [first, second] = at.host.querySelectorAll<HTMLElement>('a.whole');
  first!.focus();
  act(() => first!.click());
  await at.settle();
  expect(panel()!.hasAttribute('aria-modal')).toBe(false);
  expect(document.activeElement).toBe(panel());
  expect(heads()).toEqual(['Time', 'Status', 'Method', 'Path', 'Consumer', 'Address']);
  second!.focus();
  act(() => second!.click());
  await at.settle();
  expect(at.address).toContain('call=2-0');
  // Closing takes the focus from nobody, and going back does not go through each call.
  await press('Escape', second);
  expect([panel(), at.address]).toEqual([null, '/timeline?kind=consumer&entity=mallory']);
  expect(document.activeElement).toBe(second);
  expect(heads()).toContain('Latency');
});

it('gives the focus back to the row that it was opened from', async () => {
  widen(1440);
  await table();
  const row = at.host.querySelector<HTMLElement>('a.whole')!;
  row.focus();
  act(() => row.click());
  await at.settle();
  await press('Escape', panel()!);
  expect([panel(), document.activeElement]).toEqual([null, row]);
});

it('goes back once, however often it is told to close', async () => {
  widen(1440);
  await table('/hunt?call=2-0');
  // The page before the list.
  const pivot = [...panel()!.querySelectorAll('a')].find((one) => one.textContent === 'mallory');
  act(() => pivot!.click());
  await at.settle();
  const list = at.address;
  expect(list).toContain('/timeline?');
  act(() => at.host.querySelector<HTMLElement>('a.whole')!.click());
  await at.settle();
  expect(at.address).toContain('call=3-0');
  const close = panel()!.querySelector<HTMLElement>('[aria-label=Close]')!;
  act(() => {
    close.click();
    close.click();
  });
  await at.settle();
  expect([panel(), at.address]).toEqual([null, list]);
});

it('has all columns beside it in a window that is wide enough', async () => {
  widen(1920);
  await table('/hunt?call=2-0');
  expect(heads()).toContain('Latency');
});

it('goes with the keys of the list, and leaves alone whoever types or has a menu open', async () => {
  widen(1440);
  await table('/hunt?call=3-0');
  const rows = at.host.querySelector<HTMLElement>('.table-scroll')!;
  rows.focus();
  await press('ArrowDown', rows);
  expect(at.address).toContain('call=2-0');
  await press('k', document.body);
  expect(at.address).toContain('call=3-0');
  const field = document.createElement('input');
  at.host.append(field);
  await press('j', field);
  await press('Escape', field);
  expect(at.address).toContain('call=3-0');
  act(() => at.host.querySelector<HTMLElement>('[aria-haspopup=menu]')!.click());
  await press('Escape', document.querySelector('[role=menu]')!);
  expect(document.querySelector('[role=menu]')).toBeNull();
  expect(at.address).toContain('call=3-0');
  await press('Escape', document.body);
  expect(at.address).toBe('/hunt');
});

const drawWith = (more: object) => at.show(<CallsTable calls={{ ...calls, ...more }} search="" empty={null} />);
const step = () => panel()!.querySelector('.call-head [role=status]')!.textContent;
const LONGER = [...ROWS, { ...ROWS[2]!, position: 0 }];

it.each([800, 1440])('goes on to what is not loaded yet, and says so meanwhile: in %i pixels', async (px) => {
  widen(px);
  await table('/hunt?call=1-0');
  readOn = vi.fn(readOn);
  await drawWith({ hasNextPage: true });
  await press('j', panel()!);
  expect(readOn).toHaveBeenCalled();
  await drawWith({ hasNextPage: true, isFetchingNextPage: true });
  expect([step(), at.address]).toEqual(['Loading more calls…', '/hunt?call=1-0']);
  await drawWith({ rows: LONGER });
  expect([step(), at.address]).toEqual(['', '/hunt?call=0-0']);
  // It does not go on by itself a second time.
  await press('k', panel()!);
  expect(at.address).toBe('/hunt?call=1-0');
});

it('says that the following calls did not load, stays where it is when they do later, and tries again', async () => {
  await table('/hunt?call=1-0');
  readOn = () => Promise.resolve(false);
  await drawWith({ hasNextPage: true });
  await press('j', panel()!);
  await drawWith({ hasNextPage: true, isFetchNextPageError: true });
  expect(step()).toBe('More calls did not load');
  await drawWith({ rows: LONGER });
  expect([step(), at.address]).toEqual(['', '/hunt?call=1-0']);
  readOn = () => Promise.resolve(true);
  await drawWith({ hasNextPage: true, isFetchNextPageError: true });
  await press('j', panel()!);
  await drawWith({ rows: LONGER });
  expect(at.address).toBe('/hunt?call=0-0');
});

it('asks only for the call at which a key that is held down is let go, and the list shows the way', async () => {
  widen(1440);
  await table('/hunt?call=3-0');
  const active = () => at.host.querySelector('.table-row.active')!.textContent;
  const askedFor = () => at.asked.map(({ pathname }) => pathname).filter((path) => path.includes('/calls/'));
  const hold = (key: string) =>
    act(() => {
      panel()!.dispatchEvent(new KeyboardEvent('keydown', { key, repeat: true, bubbles: true }));
    });
  hold('j');
  expect(active()).toContain('/orders/2');
  hold('j');
  await at.settle();
  expect(active()).toContain('/orders/1');
  expect(panel()!.querySelector('.call-line')).toBeNull();
  expect([at.address, askedFor()]).toEqual(['/hunt?call=3-0', ['/api/v1/calls/3.0']]);
  act(() => void dispatchEvent(new KeyboardEvent('keyup', { key: 'j' })));
  await at.settle();
  expect([at.address, askedFor()]).toEqual(['/hunt?call=1-0', ['/api/v1/calls/3.0', '/api/v1/calls/1.0']]);
  // Whoever comes back to where they began has not gone anywhere.
  hold('k');
  hold('j');
  act(() => void dispatchEvent(new Event('blur')));
  await at.settle();
  expect([at.address, askedFor().length]).toEqual(['/hunt?call=1-0', 2]);
  expect(panel()!.querySelector('.call-line')).not.toBeNull();
  await press('k', panel()!);
  expect([at.address, active()]).toEqual(['/hunt?call=2-0', expect.stringContaining('/orders/2')]);
});

it('says which call is open now, once, to whom does not see it', async () => {
  widen(1440);
  await table('/hunt?call=3-0');
  const told = () => [...panel()!.querySelectorAll('[role=status]')].at(-1)!.textContent;
  expect(told()).toBe('Call 1 of 3: GET /orders/3, 200');
  await press('j', panel()!);
  expect(told()).toBe('Call 2 of 3: GET /orders/2, 200');
  act(() => at.host.querySelector<HTMLElement>('a.whole')!.click());
  await at.settle();
  expect(told()).toBe('Call 1 of 3: GET /orders/3, 200');
  // Calls that come are no news of this one.
  await drawWith({ rows: [{ ...ROWS[0]!, position: 4 }, ...ROWS], hasNextPage: true });
  expect(told()).toBe('Call 1 of 3: GET /orders/3, 200');
  await press('j', panel()!);
  expect(told()).toBe('Call 3 of 4 that are loaded: GET /orders/2, 200');
});

it('says of a call that is in no list what its answer says', async () => {
  await table('/hunt?call=9-0');
  const told = [...panel()!.querySelectorAll('[role=status]')].at(-1)!;
  expect(told.textContent).toBe(`Call: GET /orders/${SCRIPT}, 403`);
});

it('closes one that the address named, and leaves the rest of the address', async () => {
  await table('/hunt?q=status:403&call=2-0');
  await press('Escape', panel()!);
  expect(panel()).toBeNull();
  expect(at.address).toBe('/hunt?q=status%3A403');
});

it('copies it as JSON', async () => {
  const writeText = vi.fn(() => Promise.resolve());
  vi.stubGlobal('navigator', Object.assign(Object.create(navigator), { clipboard: { writeText } }));
  await table('/hunt?call=2-0');
  const copy = [...panel()!.querySelectorAll('button')].find((one) => one.textContent === 'Copy as JSON')!;
  act(() => copy.click());
  await at.settle();
  expect(writeText).toHaveBeenCalledWith(JSON.stringify(CALL, null, 2));
});

it.each([
  [404, 'there is no call `2.0`', false],
  [503, 'the lake is busy', true],
])('says why it is not here (%i)', async (status, detail, isAskedAgain) => {
  await table();
  call = Response.json({ type: 'problem', status, detail }, { status });
  act(() => at.host.querySelector<HTMLElement>('a.whole')!.click());
  await at.settle();
  expect(panel()!.querySelector('[role=alert]')!.textContent).toContain(detail);
  expect(panel()!.textContent.includes('Try again')).toBe(isAskedAgain);
});

const SAMPLE: SampleCall = { request_id: '', event_ms: NOW + 2, method: 'GET', path: '/orders/2', status: 200 };

async function sample(of: SampleCall) {
  call = undefined;
  await at.show(<Samples samples={[of]} gateway="kong" />, '/alerts/al_1');
  act(() => at.host.querySelector<HTMLElement>('button.whole')!.click());
  await at.settle();
}

it('finds the call that a sample of an alert is of, also without an id', async () => {
  await sample(SAMPLE);
  const { searchParams } = at.asked.find((url) => url.pathname === '/api/v1/search')!;
  expect(Object.fromEntries(searchParams)).toEqual({
    q: 'gateway:kong',
    since_ms: String(NOW + 2),
    until_ms: String(NOW + 3),
    limit: '500',
  });
  expect(at.address).toBe('/alerts/al_1?call=2-0');
  expect(group('Who')!.textContent).toContain('mallory');
});

it('says that the lake does not have it any more', async () => {
  await sample({ ...SAMPLE, path: '/orders/9' });
  expect(panel()).toBeNull();
  expect(at.host.querySelector('[role=alert]')!.textContent).toContain('The lake does not have this call.');
});
