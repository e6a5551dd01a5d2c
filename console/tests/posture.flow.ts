// From nothing to a weakness that somebody left for a while and took up again: an endpoint that is open to anybody, and a plugin in the
// gateway's configuration that lets everybody in. Then the score that this makes, and what each role sees.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { type Admin, adminWith } from './admin';
import { check, open, signIn } from './browser';
import { type Called, called } from './calls';
import { smaller } from './picture';

/** What is told within minutes of this test. */
const QUICK = '[inventory]\nreport_every_epochs = 1\n';
const OPEN_PATH = '/shop/export';
const SERVICE = { id: 's-shop', name: 'shop', protocol: 'http', host: 'shop.internal', port: 80, enabled: true };
const ROUTE = { id: 'r-shop', name: 'shop-route', service: { id: 's-shop' }, protocols: ['http'], paths: ['/shop'] };
const KEY_AUTH = {
  id: 'p-key',
  name: 'key-auth',
  enabled: true,
  service: { id: 's-shop' },
  protocols: ['http', 'https'],
};
const PATHS = ['/shop/orders', '/shop/carts', '/shop/prices'];

let all: Called;
let page: Page;
let admin: Admin;

beforeAll(async () => {
  admin = await adminWith({ services: [], routes: [], plugins: [], consumers: [] });
  // Of five calls one is for the export, without a key. The others say who calls, and one of them whom it is about.
  const make = (number: number) => {
    if (number % 5 === 4) return { path: OPEN_PATH, scheme: 'http' as const };
    if (number % 5 === 3) return { consumer: 'anna', path: `/shop/people?mail=customer${number % 40}%40corp.example` };
    return { consumer: 'anna', path: PATHS[number % 5]! };
  };
  const more = `${QUICK}[[gateways]]\nname = "kong"\nadmin_url = "${admin.url}"\nconfiguration_seconds = 10\n`;
  all = await called(20, make, { more }, async (window) => {
    ({ page } = window);
    await page.goto('/posture');
    await page.getByText('No call came yet.').waitFor();
    await check(page, 'posture before the first call');
    admin.set('services', [SERVICE]);
    admin.set('routes', [ROUTE]);
    admin.set('plugins', [{ ...KEY_AUTH, config: { anonymous: 'id-anybody', key_names: ['apikey'] } }]);
    admin.set('consumers', [{ id: 'id-anna', username: 'anna' }]);
  });
  for (const role of ['viewer', 'analyst']) all.outrider.addPerson(role, role);
});
afterAll(async () => {
  await all?.end();
  admin?.stop();
});

const weaknesses = () => page.getByRole('table', { name: 'Weaknesses' });

async function weakness(name: string) {
  const answer = await page.request.get(`/api/v1/posture?check=${name}`);
  return ((await answer.json()) as { items: { id: string; state: unknown; endpoints: string[] }[] }).items[0];
}

it('says what is checked, and comes upon what is weak by itself', async () => {
  await page.goto('/posture/checks');
  await page.getByRole('table', { name: 'Checks' }).getByRole('link', { name: 'Open to anybody' }).click();
  await page.getByRole('heading', { name: 'Why it matters' }).waitFor();
  await check(page, 'the page of a check');
  await page.goto('/posture');
  // Nobody loads the page again from here on.
  await weaknesses().getByRole('link', { name: 'Open to anybody' }).waitFor({ timeout: 300_000 });
  await weaknesses().getByRole('link', { name: 'Anonymous fallback' }).waitFor({ timeout: 180_000 });
  await check(page, 'posture');
});

it('filters by what is drawn, and by what is in the address', async () => {
  const drawn = page.getByRole('region', { name: 'Open by OWASP id' });
  await drawn.getByRole('button', { name: /^API8 Security Misconfiguration/ }).click();
  await page.waitForURL((url) => url.searchParams.get('owasp') === 'API8:2023');
  await weaknesses().getByRole('link', { name: 'Open to anybody' }).waitFor({ state: 'detached' });
  await page.goto('/posture?check=unauthenticated_access&service=shop&severity_min=high');
  await weaknesses().getByRole('link', { name: 'Open to anybody' }).waitFor();
  await page.goto('/posture?service=none');
  await page.getByText('No weakness fits these filters.').waitFor();
  await page.goto('/posture?state=fixed');
  await page.getByText('Nothing is fixed.').waitFor();
});

it('exports what is listed', async () => {
  await page.goto('/posture');
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export CSV' }).click();
  expect((await saving).suggestedFilename()).toBe('posture.csv');
});

it('tells what it rests on, what to do, and shows it again in Hunt', async () => {
  await weaknesses().getByRole('link', { name: 'Open to anybody' }).click();
  await page.getByRole('heading', { level: 1, name: 'Open to anybody · shop' }).waitFor();
  await page.getByText(`GET ${OPEN_PATH} answered`).first().waitFor();
  await page
    .getByRole('link', { name: `GET ${OPEN_PATH}` })
    .first()
    .waitFor();
  await page.getByRole('link', { name: 'API2 Broken Authentication' }).waitFor();
  await page.getByRole('link', { name: /^al_/ }).waitFor();
  await check(page, 'a weakness');
  await page.getByRole('link', { name: 'Open in Hunt' }).click();
  await page.getByText(/^1 row ·/).waitFor();
});

it('is left until a day by an analyst, and taken up again', async () => {
  const { id } = (await weakness('unauthenticated_access'))!;
  const one = await open(all.browser, all.outrider);
  await signIn(one.page, 'analyst');
  await one.page.goto(`/posture/${id}`);
  await one.page.getByRole('button', { name: 'Leave it until…' }).click();
  const dialog = one.page.getByRole('dialog');
  await dialog.getByRole('button', { name: '90 days' }).click();
  await dialog.getByLabel('Reason').fill('the partner moves in May');
  await check(one.page, 'an exception');
  await dialog.getByRole('button', { name: 'Leave it' }).click();
  await dialog.waitFor({ state: 'detached' });
  await one.page.getByText('the partner moves in May').waitFor();
  await one.page.getByText('decided by analyst').waitFor();
  await check(one.page, 'a weakness that is left');
  expect((await weakness('unauthenticated_access'))!.state).toMatchObject({
    excepted: { reason: 'the partner moves in May' },
  });
  await one.page.goto('/posture?state=excepted');
  await one.page
    .getByRole('table', { name: 'Weaknesses' })
    .getByText(/^ends in/)
    .waitFor();
  await one.page.getByRole('table', { name: 'Weaknesses' }).getByRole('link', { name: 'Open to anybody' }).click();
  await one.page.getByRole('button', { name: 'Take the exception back' }).click();
  await dialog.getByRole('button', { name: 'Take it back' }).click();
  await one.page.getByRole('button', { name: 'Leave it until…' }).waitFor();
  expect((await weakness('unauthenticated_access'))!.state).toBe('open');
  expect(one.faults).toEqual([]);
  await one.context.close();
});

it('makes the endpoint risky, and says why', async () => {
  const { endpoints } = (await weakness('unauthenticated_access'))!;
  await page.goto(`/apis/${endpoints[0]!}`);
  const factors = page.getByRole('list', { name: 'What makes it' });
  await factors.getByRole('link', { name: 'Open to anybody' }).waitFor();
  await factors.getByText('Answers without authentication').waitFor();
  await weaknesses().getByRole('link', { name: 'Open to anybody' }).waitFor();
  await check(page, 'a risky endpoint');
  await page.goto('/apis?sort=risk');
  await page.getByRole('table', { name: 'Endpoints' }).getByRole('row').nth(1).getByText(OPEN_PATH).waitFor();
  await page.goto('/apis/services?sort=risk');
  await page.getByRole('table', { name: 'Services' }).getByRole('link', { name: 'shop' }).click();
  await page.getByRole('heading', { name: 'Risk' }).waitFor();
  await weaknesses().getByRole('link', { name: 'Open to anybody' }).waitFor();
  await check(page, 'a risky service');
});

it('says which data goes where', async () => {
  await page.goto('/posture/data');
  await page
    .getByRole('table', { name: 'Data classes' })
    .getByRole('link', { name: 'email' })
    .click({ timeout: 180_000 });
  const goes = page.getByRole('region', { name: 'Where email goes' });
  await goes.getByRole('link', { name: 'GET /shop/people' }).click();
  const classes = page.getByRole('table', { name: 'Data classes' });
  await classes.getByRole('row').filter({ hasText: 'mail' }).filter({ hasText: 'query' }).waitFor();
  await check(page, 'the data that an endpoint is sent');
});

it('is over when the plugin lets nobody in any more', async () => {
  admin.set('plugins', [{ ...KEY_AUTH, config: { key_names: ['apikey'] } }]);
  const isFixed = async () => (await weakness('anonymous_fallback'))?.state;
  await expect.poll(isFixed, { timeout: 300_000, interval: 2000 }).toBe('fixed');
  await page.goto('/posture?state=fixed');
  await weaknesses().getByRole('link', { name: 'Anonymous fallback' }).waitFor();
});

describe.each(['viewer', 'analyst'] as const)('a %s', (role) => {
  it('sees no button that would fail', async () => {
    const one = await open(all.browser, all.outrider, { width: 1024 });
    await signIn(one.page, role);
    const { id } = (await weakness('unauthenticated_access'))!;
    for (const path of ['/posture', `/posture/${id}`, '/posture/data', '/posture/checks']) {
      await one.page.goto(path);
      await one.page.getByRole('heading', { level: 1 }).waitFor();
      await expect.poll(() => one.page.locator('.skeleton').count()).toBe(0);
      await check(one.page, `${path} for a ${role} at 1024`);
    }
    await one.page.goto(`/posture/${id}`);
    await one.page.getByText('What it rests on').waitFor();
    expect(await one.page.getByRole('button', { name: 'Leave it until…' }).count()).toBe(role === 'viewer' ? 0 : 1);
    expect(one.faults).toEqual([]);
    await one.context.close();
  });
});

it('looks right in both themes', async () => {
  const named = process.env['SCREENSHOTS'];
  const directory = named && resolve(import.meta.dirname, '../..', named);
  if (directory) mkdirSync(directory, { recursive: true });
  const { id } = (await weakness('unauthenticated_access'))!;
  for (const scheme of ['dark', 'light'] as const) {
    const one = await open(all.browser, all.outrider, { scheme });
    await signIn(one.page, 'analyst');
    for (const [name, path] of [
      ['posture', '/posture?state=all'],
      ['weakness', `/posture/${id}`],
      ['data', '/posture/data?class=email'],
    ] as const) {
      await one.page.goto(path);
      await one.page.getByRole('heading', { level: 1 }).waitFor();
      await expect.poll(() => one.page.locator('.skeleton').count()).toBe(0);
      await one.page.waitForTimeout(1200);
      await check(one.page, `${name} in ${scheme}`);
      if (directory) writeFileSync(join(directory, `${name}-${scheme}.png`), smaller(await one.page.screenshot()));
    }
    expect(one.faults).toEqual([]);
    await one.context.close();
  }
  expect(all.faults).toEqual([]);
});
