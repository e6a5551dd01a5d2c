// The whole story of the demo, seen in the console: an attack becomes an alert that comes by itself, the alert explains itself, a
// policy blocks, the block is seen and released. Then a second attack, answered by a policy that is made in the form.
import { mkdirSync, writeFileSync } from 'node:fs';
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
let proxy: string;
let admin: string;

beforeAll(async () => {
  [browser, outrider] = await Promise.all([launch(), demo()]);
  [, proxy, admin] = /gateway at (http:\/\/[\d.:]+) \(Admin API (http:\/\/[\d.:]+)\)/.exec(
    outrider.said(),
  ) as unknown as [string, string, string];
  for (const role of ['viewer', 'analyst', 'admin']) outrider.addPerson(role, role);
  ({ page, context, faults } = await open(browser, outrider));
  await signIn(page, 'admin');
});
afterAll(async () => {
  await browser?.close();
  await outrider?.stop();
});

/** Calls one endpoint in a loop until it is told to end; says what was answered. */
function attack(key: string): { statuses: number[]; end: () => Promise<void> } {
  const statuses: number[] = [];
  let isOver = false;
  const loop = (async () => {
    for (let item = 0; !isOver; item += 1) {
      const answer = await fetch(`${proxy}/shop/items/${item % 3000}`, { headers: { apikey: key } });
      statuses.push(answer.status);
      await answer.arrayBuffer();
      await new Promise((resolve) => setTimeout(resolve, 8));
    }
  })();
  return {
    statuses,
    end: async () => {
      isOver = true;
      await loop;
    },
  };
}

async function until(found: () => boolean, what: string, waitMs = 60_000): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (!found()) {
    if (Date.now() > deadline) throw new Error(`it did not come to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

it('shows calls flowing while outrider learns', async () => {
  const flow = page.getByRole('region', { name: 'Flow from gateway to responder' });
  await flow.getByText('practice', { exact: true }).waitFor();
  await flow.getByText(/\d\/s/).first().waitFor({ timeout: 30_000 });
  await check(page, 'overview');
});

it('tells of the attack by itself', async () => {
  // Nobody loads the page again from here on.
  await page.getByText('Request spike · mallory').waitFor({ timeout: 200_000 });
  await page.getByText('Request spike · mallory').click();
  await page.getByRole('heading', { name: 'Request spike · mallory' }).waitFor();
  await page
    .getByText(/mallory called gateway practice/)
    .first()
    .waitFor();
  await page.getByRole('table', { name: 'Sample calls' }).getByText('/shop/items/').first().waitFor();
  await check(page, 'alert');
});

it('shows the block of the policy, from its beginning to its end', async () => {
  await page.getByRole('link', { name: 'Block · 403' }).click();
  await page.getByText('In force').first().waitFor({ timeout: 40_000 });
  await check(page, 'action');
  await page.getByText('Released', { exact: true }).first().waitFor({ timeout: 60_000 });
  await outrider.says('everything stays up');
});

it('shows the timeline with the alert and the block', async () => {
  await page.getByRole('link', { name: 'mallory' }).first().click();
  await page.getByRole('heading', { name: 'mallory' }).waitFor();
  await page.getByRole('table', { name: 'Calls' }).getByText('/shop/items/').first().waitFor();
  await page.getByRole('link', { name: /Request spike: mallory/ }).waitFor();
  await page.getByRole('button', { name: '15m' }).click();
  await check(page, 'timeline');
  // Each value leads on: only what was refused.
  await page.getByRole('table', { name: 'Calls' }).getByRole('button', { name: '403' }).first().click();
  await page.getByRole('menuitem', { name: 'Only these' }).click();
  await page.waitForURL(/q=status/);
  await page.getByRole('table', { name: 'Calls' }).getByRole('button', { name: '403' }).first().waitFor();
  const others = page.getByRole('table', { name: 'Calls' }).getByRole('button', { name: '200' });
  await expect.poll(() => others.count()).toBe(0);
});

it('lets an analyst decide, and not act', async () => {
  const other = await open(browser, outrider);
  await signIn(other.page, 'analyst');
  await other.page.goto('/alerts');
  await other.page.getByRole('table', { name: 'Alerts' }).getByRole('link', { name: 'Request spike' }).first().click();
  await other.page.getByRole('button', { name: 'Acknowledge' }).waitFor();
  expect(await other.page.getByRole('button', { name: 'Block now' }).count()).toBe(0);
  expect(await other.page.getByRole('link', { name: 'Make a policy' }).count()).toBe(0);
  await other.page.getByRole('button', { name: 'Acknowledge' }).click();
  await other.page.getByText('Acknowledged', { exact: true }).waitFor();
  await other.page.getByRole('button', { name: 'Take it' }).click();
  await other.page.getByRole('button', { name: 'Take it' }).waitFor({ state: 'detached' });
  await other.page.getByLabel('Comment').fill('the key of mallory was sold');
  await other.page.getByRole('button', { name: 'Comment', exact: true }).click();
  // The field that it was typed in has the same words until the answer is there.
  await other.page.getByRole('paragraph').filter({ hasText: 'the key of mallory was sold' }).waitFor();
  // Whoever has it open sees it at once.
  await page.goto(new URL(other.page.url()).pathname);
  await page.getByText('the key of mallory was sold').waitFor();
  await other.page.getByLabel('Comment').fill('it is revoked');
  await other.page.getByRole('button', { name: 'Comment', exact: true }).click();
  await page.getByText('it is revoked').waitFor();
  const alerts = other.page.getByRole('table', { name: 'Alerts' });
  const its = new URL(other.page.url()).pathname;
  await other.page.goto('/alerts?assignee=analyst');
  await alerts.locator(`a[href="${its}"]`).waitFor();
  await other.page.goto(its);
  await other.page.getByRole('button', { name: 'Resolve' }).click();
  await check(other.page, 'a decision');
  await other.page.getByLabel('Reason').fill('agreed with the team');
  await other.page.getByRole('dialog').getByRole('button', { name: 'Resolve' }).click();
  await other.page.getByText('Resolved', { exact: true }).waitFor();
  await other.page.getByText('agreed with the team').waitFor();
  expect(other.faults).toEqual([]);
  await other.context.close();
});

it('makes a policy from an alert, which blocks the next attack', async () => {
  await page.goto('/alerts');
  await page.getByRole('table', { name: 'Alerts' }).getByRole('link', { name: 'Request spike' }).first().click();
  await page.getByRole('link', { name: 'Make a policy' }).click();
  await page.getByText(/of \d+ findings/).waitFor();
  await check(page, 'a new policy');
  await page.getByLabel('Name').fill('limit-what-spikes');
  await page.getByRole('combobox', { name: 'Consumers' }).fill('bob');
  await page.keyboard.press('Enter');
  // Wherever bob does it.
  await page.getByRole('combobox', { name: 'Services' }).press('Backspace');
  await page.getByRole('combobox', { name: 'Duration' }).click();
  await page.getByRole('option', { name: '1 hour' }).click();
  await page.getByRole('combobox', { name: 'Mode' }).click();
  await page.getByRole('option', { name: /^Enforce/ }).click();
  await page.getByRole('button', { name: 'Save and enforce' }).click();
  await page.getByText('limit-what-spikes').waitFor();
  await page.getByText(/about bob, outrider blocks the consumer on everything/).waitFor();
  await check(page, 'policies');

  await page.goto('/responses?group=all');
  await page.getByRole('table', { name: 'Actions' }).getByRole('link', { name: 'mallory' }).first().waitFor();
  const loop = attack('key-bob');
  try {
    // The new row waits until somebody asks for it; nothing moves under the cursor.
    await page.getByRole('button', { name: /^Show \d+ new$/ }).click({ timeout: 90_000 });
    const row = page.getByRole('row').filter({ hasText: 'bob' }).filter({ hasText: 'limit-what-spikes' }).first();
    await row.waitFor();
    await until(() => loop.statuses.at(-1) === 403, 'the gateway refuses bob');
    const held = (await (await fetch(`${admin}/plugins?tags=outrider`)).json()) as { data: unknown[] };
    expect(held.data.length).toBeGreaterThan(0);
    await row.getByText('In force').waitFor({ timeout: 60_000 });
    await check(page, 'responses');

    // Whoever goes on with it is blocked again, by another action: this one is meant.
    const action = await row.locator('a[href^="/responses/"]').getAttribute('href');
    const released = page.getByRole('row').filter({ has: page.locator(`a[href="${action}"]`) });
    const refused = loop.statuses.length;
    await released.getByRole('button', { name: 'Release' }).click();
    await page.getByLabel('Reason').fill('the test has seen it');
    await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click();
    await released.getByText('Released', { exact: true }).waitFor({ timeout: 30_000 });
    await until(() => loop.statuses.slice(refused).includes(200), 'the gateway lets bob through again');
  } finally {
    await loop.end();
  }
});

it('stops automatic actions, and says so on every page', async () => {
  await page.goto('/responses');
  await page.getByRole('button', { name: 'Stop automatic actions' }).click();
  await page.getByLabel('Reason').fill('a drill');
  await page.getByRole('button', { name: 'Stop them' }).click();
  await page.getByText('The kill switch is on.').waitFor();
  await page.goto('/alerts');
  await page.getByText('The kill switch is on.').waitFor();
  await check(page, 'kill switch');
  await page.goto('/responses');
  await page.getByRole('button', { name: 'Let automatic actions go on' }).click();
  await page.getByLabel('Reason').fill('the drill is over');
  await page.getByRole('button', { name: 'Go on', exact: true }).click();
  await page.getByText('The kill switch is on.').waitFor({ state: 'detached' });
});

it('asks the lake in SQL, also for many rows', async () => {
  await page.goto('/hunt/sql');
  const editor = page.getByLabel('SQL statement');
  await editor.fill('SELECT count(*) FROM ');
  await page.keyboard.type('find');
  await page.getByRole('option', { name: 'findings' }).click();
  expect(await editor.innerText()).toBe('SELECT count(*) FROM findings');
  await editor.fill('SELECT a.path, b.status, a.client_ip FROM calls a, calls b LIMIT 10000');
  await page.keyboard.press('Control+Enter');
  await page.getByText(/10,000 rows/).waitFor();
  const answer = page.getByRole('rowgroup', { name: 'Answer: rows' });
  expect(await answer.getByRole('row').count()).toBeLessThan(100);
  const frames = await page.evaluate(async () => {
    const element = document.querySelector('[aria-label="Answer: rows"]')!;
    const began = performance.now();
    let count = 0;
    while (performance.now() - began < 1000) {
      element.scrollTop += 600;
      await new Promise((resolve) => requestAnimationFrame(resolve));
      count += 1;
    }
    return count;
  });
  console.log(`scrolling 10,000 rows: ${frames} frames in a second`);
  await editor.fill(
    "SELECT date_bin(INTERVAL '10 seconds', event_time) AS at, count(*) AS calls FROM calls GROUP BY 1",
  );
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByText('Chart', { exact: true }).click();
  await page.locator('.uplot').waitFor();
  await check(page, 'sql');
});

it('says by what those who call an endpoint were known, of a day and of a month', async () => {
  await page.goto('/apis');
  const endpoints = page.getByRole('table', { name: 'Endpoints' });
  await endpoints.getByRole('row').filter({ hasText: '/shop/items/' }).getByText('credential').first().waitFor();
  await endpoints.getByRole('link', { name: '/shop/items/' }).first().click();
  const access = page.getByRole('table', { name: 'Access' }).getByText('A credential that the gateway accepted');
  await access.waitFor();
  await page.getByRole('button', { name: '30d', exact: true }).click();
  await page.waitForURL((url) => url.searchParams.get('last') === '30d');
  await access.waitFor();
  await page
    .getByText('No call of this time had a query.')
    .or(page.getByRole('table', { name: 'Query fields' }))
    .waitFor();
  await check(page, 'an endpoint');
});

it('saves a search as a hunt', async () => {
  await page.goto('/hunt?q=status:403');
  await page.getByRole('table', { name: 'Calls' }).getByText('403').first().waitFor();
  await check(page, 'search');
  await page.getByRole('link', { name: 'Save as a hunt' }).click();
  await page.getByLabel('Name').fill('refused-often');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByRole('link', { name: 'refused-often' }).click();
  await page.getByRole('button', { name: 'Run it now' }).click();
  await page.getByText('What it finds now').waitFor();
  await check(page, 'a hunt');
});

it('bears names without an end', async () => {
  const name = `consumer-${'with-a-very-long-name-'.repeat(9)}`.slice(0, 180);
  const json = { method: 'POST', headers: { 'content-type': 'application/json' } };
  await fetch(`${admin}/consumers`, { ...json, body: JSON.stringify({ username: name }) });
  await fetch(`${admin}/consumers/${name}/key-auth`, { ...json, body: JSON.stringify({ key: 'key-long' }) });
  for (let call = 0; call < 50; call += 1) {
    const path = `/shop/items/${call}/${'very-long-segment-'.repeat(20)}`;
    await (await fetch(`${proxy}${path}`, { headers: { apikey: 'key-long' } })).arrayBuffer();
  }
  await page.goto(`/timeline?kind=consumer&entity=${name}&last=15m`);
  for (const width of [1440, 1024]) {
    await page.setViewportSize({ width, height: 900 });
    await page.goto(`/timeline?kind=consumer&entity=${name}&last=15m`);
    await page.getByRole('table', { name: 'Calls' }).getByText('/shop/items/').first().waitFor({ timeout: 30_000 });
    await check(page, `long names at ${width}`);
    await page.goto('/apis');
    await page.getByRole('table', { name: 'Endpoints' }).getByText('/shop/items').first().waitFor();
    await check(page, `endpoints at ${width}`);
  }
});

/** Every page, in both themes; for the documents, where a directory is named, as seen from the repository. */
it('looks right in both themes', async () => {
  const named = process.env['SCREENSHOTS'];
  const directory = named && resolve(import.meta.dirname, '../..', named);
  if (directory) mkdirSync(directory, { recursive: true });
  const alert = await page.request
    .get('/api/v1/alerts?limit=1')
    .then((answer) => answer.json() as Promise<{ items: { id: string }[] }>);
  const endpoint = await page.request
    .get('/api/v1/endpoints?limit=1&sort=calls')
    .then((answer) => answer.json() as Promise<{ items: { id: string }[] }>);
  const pages: [string, string][] = [
    ['overview', '/'],
    ['alerts', '/alerts'],
    ['alert', `/alerts/${alert.items[0]!.id}`],
    ['timeline', '/timeline?kind=consumer&entity=mallory&last=15m'],
    ['responses', '/responses?group=all'],
    ['policies', '/policies'],
    ['policy', '/policies/limit-what-spikes'],
    ['apis', '/apis'],
    ['endpoint', `/apis/${endpoint.items[0]!.id}?last=1h`],
    ['hunt', '/hunt?q=status:403'],
    ['sql', '/hunt/sql'],
    ['health', '/settings/health'],
    ['audit', '/settings/audit'],
  ];
  for (const scheme of ['dark', 'light'] as const) {
    const one = await open(browser, outrider, { scheme });
    await signIn(one.page, 'viewer');
    for (const [name, path] of pages) {
      await one.page.goto(path);
      await one.page.getByRole('heading', { level: 1 }).waitFor();
      if (name === 'sql') await one.page.getByRole('button', { name: 'Run' }).click();
      await one.page.waitForTimeout(1200);
      await check(one.page, `${name} in ${scheme}`);
      if (directory) writeFileSync(join(directory, `${name}-${scheme}.png`), smaller(await one.page.screenshot()));
    }
    expect(one.faults).toEqual([]);
    await one.context.close();
  }
});

it('decides about many alerts at once, by keys', async () => {
  await page.goto('/alerts?state=open');
  const rows = page.getByRole('rowgroup', { name: 'Alerts: rows' });
  await rows.getByRole('checkbox').first().waitFor();
  const count = await rows.getByRole('checkbox').count();
  await rows.focus();
  await page.keyboard.press('j');
  await page.keyboard.press('x');
  await page.getByText('1 alert chosen').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+a');
  await check(page, 'chosen alerts');
  await page.getByRole('toolbar', { name: 'Chosen alerts' }).getByRole('button', { name: 'Acknowledge' }).click();
  await page.getByRole('toolbar', { name: 'Chosen alerts' }).waitFor({ state: 'detached' });
  expect(await rows.getByText('Acknowledged', { exact: true }).count()).toBe(count);
});

it('had no fault in any of it', async () => {
  expect(faults).toEqual([]);
  await context.close();
});
