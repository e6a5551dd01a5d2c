// From zero to a compared document: what was seen of a service is exported, given back as its owner's with one path less, and the
// difference leads to the endpoint. A template is corrected there, and the decision is taken back.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { check, launch, open, signIn } from './browser';
import { demo, type Running } from './outrider';
import { smaller } from './picture';

let browser: Browser;
let outrider: Running;
let page: Page;
let context: BrowserContext;
let faults: string[];

interface Api {
  gateway: string;
  workspace: string;
  service: string;
  service_name: string;
}

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { deprecated?: boolean }>>;
}

let shop: Api;
let exported: Document;
/** The template that the owner's document has not. */
let left: string;
const pathOfShop = () => {
  const { gateway, workspace, service } = shop;
  return `/apis/service?${new URLSearchParams({ gateway, workspace, service }).toString()}`;
};

async function list<T>(path: string): Promise<T[]> {
  return ((await (await page.request.get(`/api/v1/${path}`)).json()) as { items: T[] }).items;
}

beforeAll(async () => {
  [browser, outrider] = await Promise.all([launch(), demo()]);
  for (const role of ['viewer', 'responder']) outrider.addPerson(role, role);
  ({ page, context, faults } = await open(browser, outrider));
  await signIn(page, 'responder');
});
afterAll(async () => {
  await browser?.close();
  await outrider?.stop();
});

it('exports what was seen of a service', async () => {
  // What endpoints carry is told when a minute is over, and little of it after the first.
  const parametersOf = async ({ id }: { id: string }) => {
    const answer = await page.request.get(`/api/v1/endpoints/${id}/inventory`);
    return answer.ok() ? ((await answer.json()) as { parameters: unknown[] }).parameters.length : 0;
  };
  const withParameters = async () => {
    const counts = await Promise.all((await list<{ id: string }>('endpoints?service=shop')).map(parametersOf));
    return counts.filter((count) => count > 0).length;
  };
  await expect.poll(withParameters, { timeout: 240_000, interval: 2000 }).toBeGreaterThan(3);
  shop = (await list<Api>('apis')).find(({ service_name }) => service_name === 'shop')!;
  await page.goto('/apis');
  await page.getByRole('navigation', { name: 'What is listed' }).getByRole('link', { name: 'Services' }).click();
  await page.getByRole('table', { name: 'Services' }).getByRole('link', { name: 'shop' }).click();
  await page.getByRole('heading', { level: 1, name: 'shop' }).waitFor();
  await page.getByText('outrider openapi import --service shop openapi.yaml').first().waitFor();
  await check(page, 'a service without a document');
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export OpenAPI' }).click();
  const saved = await saving;
  expect(saved.suggestedFilename()).toBe('shop-openapi.json');
  exported = JSON.parse(readFileSync(await saved.path(), 'utf8')) as Document;
  expect(exported.openapi).toMatch(/^3\.1/);
});

it('compares the document of its owner, and says what is broken in it', async () => {
  const paths = { ...exported.paths };
  left = Object.keys(paths).find((path) => path.endsWith('}'))!;
  Reflect.deleteProperty(paths, left);
  const [first] = Object.keys(paths);
  for (const operation of Object.values(paths[first!]!)) operation.deprecated = true;
  const text = JSON.stringify({
    ...exported,
    paths: { ...paths, '/shop/prices': { get: { responses: { 200: { description: '' } } } }, '/broken': { get: 7 } },
  });
  await page
    .getByLabel('OpenAPI document')
    .setInputFiles({ name: 'shop.json', mimeType: 'application/json', buffer: Buffer.from(text) });
  await page.getByRole('status').filter({ hasText: 'It is compared from now on.' }).waitFor();
  await page.getByText('1 part of it was left out').waitFor();
  const differences = page.getByRole('table', { name: 'Differences' });
  await differences.getByText('Shadow endpoint').first().waitFor();
  await differences.getByText('Zombie endpoint').first().waitFor();
  await differences.getByText('Orphan').waitFor();
  for (const width of [1440, 1024]) {
    await page.setViewportSize({ width, height: 900 });
    await check(page, `a compared service at ${width}`);
  }
  await page.setViewportSize({ width: 1440, height: 900 });
});

it('filters by what differences have in common', async () => {
  const differences = page.getByRole('table', { name: 'Differences' });
  await page
    .getByRole('region', { name: 'Values of these differences' })
    .getByRole('button', { name: 'Orphan' })
    .click();
  await page.waitForURL((url) => url.searchParams.get('kind') === 'orphan');
  await differences.getByText('Shadow endpoint').waitFor({ state: 'detached' });
  await page.goBack();
  await page.goto(pathOfShop());
  await differences.getByText('Shadow endpoint').first().waitFor();
});

it('looks right in both themes', async () => {
  const named = process.env['SCREENSHOTS'];
  const directory = named && resolve(import.meta.dirname, '../..', named);
  if (directory) mkdirSync(directory, { recursive: true });
  for (const scheme of ['dark', 'light'] as const) {
    const one = await open(browser, outrider, { scheme });
    await signIn(one.page, 'responder');
    for (const [name, path] of [
      ['service', pathOfShop()],
      ['services', '/apis/services'],
    ] as const) {
      await one.page.goto(path);
      await one.page.getByRole('heading', { level: 1 }).waitFor();
      await expect.poll(() => one.page.locator('.skeleton').count()).toBe(0);
      await one.page.waitForTimeout(1200);
      await check(one.page, `${name} in ${scheme}`);
      if (directory && name === 'service')
        writeFileSync(join(directory, `${name}-${scheme}.png`), smaller(await one.page.screenshot()));
    }
    expect(one.faults).toEqual([]);
    await one.context.close();
  }
});

it('leads to the endpoint, which says what it carries', async () => {
  const shadow = page.getByRole('table', { name: 'Differences' }).getByRole('link', { name: left }).first();
  await shadow.click();
  await page.getByRole('heading', { name: 'What it carries' }).waitFor();
  const parameters = page.getByRole('table', { name: 'Parameters' });
  await parameters.getByText('path', { exact: true }).first().waitFor();
  await parameters.getByText('100 %').first().waitFor();
  await check(page, 'what an endpoint carries');
});

it('corrects its template, and takes that back', async () => {
  await page.getByRole('button', { name: 'Correct the template…' }).click();
  await page.getByRole('menuitem', { name: 'Rename a parameter…' }).click();
  // While it fades out it has no items that anybody may reach.
  await page.getByRole('menu').waitFor({ state: 'detached' });
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('New name').fill('sku');
  await dialog.getByRole('note').filter({ hasText: 'is called {sku} from now on' }).waitFor();
  const effects = dialog.getByRole('region', { name: 'What it would do' });
  await effects.getByText(/^Of the endpoints \d+ (is|are) renamed/).waitFor();
  await effects.getByRole('listitem').filter({ hasText: '{sku}' }).first().waitFor();
  await check(page, 'a correction');
  await dialog.getByRole('button', { name: 'Rename' }).click();
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('heading', { level: 1, name: '{sku}' }).waitFor();
  await page.goto(pathOfShop());
  const decided = page.getByRole('table', { name: 'Decided by people' });
  await decided.getByText('Called {sku}').waitFor();
  await check(page, 'a service with decisions');
  await decided.getByRole('button', { name: 'Take back' }).click();
  await dialog.getByText(/^Of the endpoints \d+ (is|are) renamed/).waitFor();
  await check(page, 'a decision to be taken back');
  await dialog.getByRole('button', { name: 'Take back' }).click();
  await page.getByText('all templates are as they were learned').waitFor();
});

it('takes the paths of the document as templates, and says before what that does', async () => {
  await page.getByRole('button', { name: 'Take its paths as templates…' }).click();
  const dialog = page.getByRole('dialog');
  // The document has a path that was never called.
  await dialog.getByText(/ with the first call\./).waitFor();
  await dialog.getByRole('listitem').filter({ hasText: '/shop/prices' }).waitFor();
  await check(page, 'paths that would be templates');
  await dialog.getByRole('button', { name: 'Take them' }).click();
  await dialog.waitFor({ state: 'detached' });
  const decided = page.getByRole('table', { name: 'Decided by people' });
  await decided.getByRole('row').filter({ hasText: '/shop/prices' }).getByText('Pinned for GET').waitFor();
});

it('shows a viewer no button that would fail', async () => {
  const one = await open(browser, outrider, { width: 1024 });
  await signIn(one.page, 'viewer');
  await one.page.goto(pathOfShop());
  await one.page.getByText('Document of its owner').waitFor();
  await one.page.getByRole('button', { name: 'Export OpenAPI' }).waitFor();
  expect(await one.page.getByRole('button', { name: /Upload|Replace|Delete|Take back/ }).count()).toBe(0);
  await one.page.goto(`/apis?service=shop`);
  await one.page.getByRole('table', { name: 'Endpoints' }).getByRole('link', { name: '/shop/' }).first().click();
  await one.page.getByRole('heading', { name: 'What it carries' }).waitFor();
  expect(await one.page.getByRole('button', { name: 'Correct the template…' }).count()).toBe(0);
  expect(one.faults).toEqual([]);
  await one.context.close();
});

it('deletes the document', async () => {
  await page.goto(pathOfShop());
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('button', { name: 'Upload…' }).waitFor();
  expect(faults).toEqual([]);
  await context.close();
});
