// Timelines of all six kinds of entity, of calls that come meanwhile: how one gets to each, how one compares it with a peer, and how
// one chooses a time in its strip.
import { resolve } from 'node:path';

import type { Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { check } from './browser';
import { type Called, called } from './calls';

/** One that has this address in it, as AT&T's. */
const SYSTEMS = resolve(
  import.meta.dirname,
  '../../crates/platform/tests/platform/fixtures/geo/GeoLite2-ASN-Test.mmdb',
);
const [ADDRESS, SYSTEM] = ['12.81.96.1', '7018'];

let all: Called;
let page: Page;
/** The pseudonym of the session of anna, as the lake has it. */
let session: string;

beforeAll(async () => {
  const more = `[enrich]\ndatabases = [${JSON.stringify(SYSTEMS)}]\n[[entities]]\nname = "merchant_id"\npath = "/merchants/{merchant_id}/**"`;
  // Of five calls anna makes four, from an address whose system is known; a quarter of those of ben are not there.
  const make = (number: number) =>
    number % 5 < 4
      ? {
          consumer: 'anna',
          path: `/merchants/4711/orders/${number}`,
          address: ADDRESS,
          cookie: 'sid=of-anna; theme=dark',
        }
      : { consumer: 'ben', path: '/merchants/815/orders/1', status: number % 20 === 4 ? 404 : 200 };
  all = await called(50, make, { source: 'session = { cookie = "sid" }', more });
  page = all.page;
});
afterAll(() => all?.end());

it('has calls soon', async () => {
  const read = async () => {
    const found = await page.request.get('/api/v1/search?q=consumer:anna&limit=1');
    const [newest] = ((await found.json()) as { items: { position: number; call_index: number }[] }).items;
    if (!newest) return '';
    const answer = await page.request.get(`/api/v1/calls/${newest.position}.${newest.call_index}`);
    return ((await answer.json()) as { call: { session?: string } }).call.session ?? '';
  };
  await expect.poll(read).toMatch(/^ps_/);
  session = await read();
});

const KINDS: [kind: string, words: string, value: () => string][] = [
  ['consumer', 'Consumer', () => 'id-anna'],
  ['credential', 'Credential', () => 'cred-anna'],
  ['ip', 'Address', () => ADDRESS],
  ['network', 'Network', () => SYSTEM],
  ['session', 'Session', () => session],
  ['business', 'Business entity', () => 'merchant_id:4711'],
];

const stripOf = (value: string): Locator => page.getByRole('application', { name: `Calls of ${value}:` });
const rows = () => page.getByRole('rowgroup', { name: 'Calls: rows' });

describe.each(KINDS)('a %s', (kind, words, value) => {
  it('is opened by what it is called, and shows its calls alone', async () => {
    await page.goto('/timeline');
    await page.getByRole('combobox', { name: 'Whose calls' }).click();
    await page.getByRole('option', { name: words, exact: true }).click();
    await page.getByLabel(new RegExp(`^${words}: `)).fill(value());
    await page.getByRole('button', { name: 'Open' }).click();
    await page.waitForURL((url) => url.searchParams.get('kind') === kind && url.searchParams.get('entity') === value());
    await page.getByText(words, { exact: true }).first().waitFor();
    await rows().getByText('/merchants/4711/').first().waitFor();
    expect(await rows().getByText('/merchants/815/').count()).toBe(0);
    await expect.poll(() => stripOf(value()).getAttribute('aria-label')).toMatch(/: [1-9][\d,.]*k? calls from/);
    await check(page, `timeline of a ${kind}`);
  });
});

it('leads from a call to each of those that it names', async () => {
  await page.goto('/hunt?q=consumer:anna');
  // As soon as it is drawn, while the page still draws other things.
  await rows().locator('a.whole').first().click();
  const call = page.getByRole('dialog', { name: 'Call' });
  await call.getByRole('region', { name: 'Headers' }).waitFor();
  const ways = await call
    .locator('a[href^="/timeline?"]')
    .evaluateAll((links) =>
      links
        .map((link) => new URL((link as HTMLAnchorElement).href).searchParams)
        .map((way) => [way.get('kind'), way.get('entity')]),
    );
  for (const [kind, , value] of KINDS) expect(ways, kind).toContainEqual([kind, value()]);
  await call.locator('a[href^="/timeline?kind=session&"]').click();
  await page.waitForURL((url) => url.searchParams.get('kind') === 'session');
  await rows().getByText('/merchants/4711/').first().waitFor();
});

it('compares with a peer that it offers, at one scale and with one cursor', async () => {
  await page.goto('/timeline?kind=consumer&entity=id-anna&last=15m');
  await stripOf('id-anna').waitFor();
  await page.getByRole('combobox', { name: 'Compare with' }).click();
  await page.getByRole('option', { name: 'ben' }).waitFor();
  expect(await page.getByRole('option').allInnerTexts()).toEqual(['ben']);
  await page.getByRole('option', { name: 'ben' }).click();
  await page.waitForURL((url) => url.searchParams.get('peer') === 'ben');
  await page
    .getByText(/This consumer: [\d,]+ calls, 0 % errors; ben: [\d,]+ calls, 25 % errors\. Both have one scale\./)
    .waitFor();
  const [own, peer] = [stripOf('id-anna'), stripOf('ben')];
  const highest = (strip: Locator) => strip.locator('.strip-text').first().textContent();
  // Calls come meanwhile, and both are drawn anew.
  const isOne = async (of: (strip: Locator) => Promise<string | null>) => {
    const [one, other] = [await of(own), await of(peer)];
    return one !== null && one === other;
  };
  await expect.poll(() => isOne(highest)).toBe(true);
  const box = (await own.boundingBox())!;
  await page.mouse.move(box.x + box.width * 0.9, box.y + box.height / 2);
  const cursorOf = (strip: Locator) => strip.locator('.strip-cursor').getAttribute('x1');
  await own.locator('.strip-cursor').waitFor({ state: 'attached' });
  await expect.poll(() => isOne(cursorOf)).toBe(true);
  await check(page, 'a comparison');
  // The peer leads on, and one comes back to the comparison.
  await page.getByRole('link', { name: 'ben', exact: true }).click();
  await page.getByRole('heading', { name: 'ben' }).waitFor();
  await page.goBack();
  await peer.waitFor();
  await page.getByRole('button', { name: 'Compare no more' }).click();
  await peer.waitFor({ state: 'detached' });
  expect(new URL(page.url()).searchParams.get('peer')).toBeNull();
});

it('compares an address with one that is typed', async () => {
  await page.goto(`/timeline?kind=ip&entity=${ADDRESS}&last=15m`);
  await page.getByRole('combobox', { name: 'Compare with' }).fill('198.51.100.7');
  await page.keyboard.press('Enter');
  await page.getByText(/This address: .*; 198\.51\.100\.7: /).waitFor();
});

it('zooms to what is dragged over, and back', async () => {
  await page.goto('/timeline?kind=consumer&entity=id-anna&last=1h');
  const strip = stripOf('id-anna');
  await rows().getByRole('row').first().waitFor();
  const { x, y, width, height } = (await strip.boundingBox())!;
  const range = () => {
    const { searchParams } = new URL(page.url());
    return [Number(searchParams.get('since')), Number(searchParams.get('until'))] as const;
  };
  // A click is no range.
  await strip.click({ position: { x: width / 2, y: height / 2 } });
  expect(range()).toEqual([0, 0]);
  const began = Date.now();
  await page.mouse.move(x + width * 0.75, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width * 0.9, y + height / 2, { steps: 5 });
  await strip.locator('.strip-chosen').waitFor();
  await page.mouse.up();
  await page.waitForURL((url) => url.searchParams.has('since'));
  expect(new URL(page.url()).searchParams.get('last')).toBeNull();
  const [since, until] = range();
  const minutes = (until - since) / 60_000;
  // 15 % of an hour; beside the strip stand its numbers.
  expect(minutes).toBeGreaterThan(8);
  expect(minutes).toBeLessThan(11);
  expect((began - until) / 60_000).toBeGreaterThan(4);
  await check(page, 'a time that was chosen');
  // Escape from it is the browser's way back; the keys do what dragging does.
  await page.goBack();
  await page.waitForURL((url) => url.searchParams.get('last') === '1h');
  await strip.focus();
  await page.keyboard.press('+');
  await page.waitForURL((url) => url.searchParams.has('since'));
  const [from, to] = range();
  expect((to - from) / 60_000).toBeCloseTo(30, 0);
  await page.getByRole('button', { name: 'Zoom out' }).click();
  await expect.poll(() => (range()[1] - range()[0]) / 60_000).toBeGreaterThan(40);
});

it('has all columns in view in a window of 1024 pixels', async () => {
  await page.setViewportSize({ width: 1024, height: 900 });
  for (const [path, table] of [
    ['/apis', 'Endpoints'],
    ['/timeline?kind=consumer&entity=id-anna&last=15m', 'Calls'],
  ] as const) {
    await page.goto(path);
    await page
      .getByRole('rowgroup', { name: `${table}: rows` })
      .getByText('/merchants/')
      .first()
      .waitFor();
    const last = await page.getByRole('table', { name: table }).getByRole('columnheader').last().boundingBox();
    expect(last!.x + last!.width, path).toBeLessThanOrEqual(1024);
  }
});

it('had no fault in any of it', async () => {
  expect(all.faults).toEqual([]);
  await all.context.close();
});
