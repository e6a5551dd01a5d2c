// The whole story of the demo, seen in the console: an attack becomes an alert that comes by itself, the alert explains itself, a
// policy blocks, the block is seen and released. Then a second attack, answered by a policy that is made in the form.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { check, launch, open, signIn } from './browser';
import { demo, PASSWORD, type Running } from './outrider';
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

async function until(found: () => boolean | Promise<boolean>, what: string, waitMs = 60_000): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (!(await found())) {
    if (Date.now() > deadline) throw new Error(`it did not come to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What one call of a consumer is answered with. */
async function statusOf(key: string): Promise<number> {
  const answer = await fetch(`${proxy}/shop/items/1`, { headers: { apikey: key } });
  await answer.arrayBuffer();
  return answer.status;
}

async function list<T>(path: string): Promise<T[]> {
  const answer = await page.request.get(`/api/v1/${path}`);
  return ((await answer.json()) as { items: T[] }).items;
}

interface OfWhom {
  id: string;
  entity: { label: string };
}

/** The newest alert about a consumer. */
async function alertOf(name: string): Promise<string> {
  const alerts = await list<OfWhom>('alerts?limit=100');
  return alerts.find(({ entity }) => entity.label === name)!.id;
}

it('shows calls flowing while outrider learns', async () => {
  const flow = page.getByRole('region', { name: 'Flow from gateway to responder' });
  await flow.getByText('practice', { exact: true }).waitFor();
  await flow.getByText(/\d\/s/).first().waitFor();
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
  await page.getByText('In force').first().waitFor();
  await check(page, 'action');
  await page.getByText('Released', { exact: true }).first().waitFor();
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

it('opens a call from its row, from the address and from an alert, and gives the focus back', async () => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.goto('/timeline?kind=consumer&entity=mallory&last=15m&q=status:200');
  const rows = page.getByRole('rowgroup', { name: 'Calls: rows' });
  await rows.getByText('/shop/items/').first().waitFor();
  await rows.focus();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  const panel = page.getByRole('dialog', { name: 'Call' });
  await panel.getByRole('region', { name: 'Headers' }).getByText('host').first().waitFor();
  await panel.getByRole('link', { name: 'mallory' }).waitFor();
  await check(page, 'a call');
  const [list, beside] = await Promise.all([rows.boundingBox(), panel.boundingBox()]);
  expect(list!.x + list!.width, 'the list gives way to the call').toBeLessThanOrEqual(Math.ceil(beside!.x));
  await page.setViewportSize({ width: 1200, height: 900 });
  await expect.poll(() => panel.getAttribute('aria-modal')).toBe('true');
  await check(page, 'a call over its list');
  await page.setViewportSize({ width: 1440, height: 900 });
  await expect.poll(() => panel.getAttribute('aria-modal')).toBeNull();
  const first = new URL(page.url()).searchParams.get('call');
  await panel.getByRole('button', { name: 'Copy as JSON' }).click();
  const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as Record<string, unknown>;
  expect(`${String(copied['position'])}-${String(copied['call_index'])}`).toBe(first);
  expect(copied['consumer_name']).toBe('mallory');
  await page.keyboard.press('j');
  await page.waitForURL((url) => ![null, first].includes(url.searchParams.get('call')));
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
  expect(new URL(page.url()).searchParams.get('call')).toBeNull();
  expect(await rows.evaluate((element) => element === document.activeElement)).toBe(true);

  await page.goto(`/hunt?call=${first}`);
  await panel.getByText(String(copied['path'])).first().waitFor();
  await panel.locator('a[href^="/timeline?kind=ip"]', { hasText: String(copied['client_ip']) }).click();
  await page.getByRole('heading', { name: String(copied['client_ip']) }).waitFor();
  expect(await panel.count()).toBe(0);

  await page.goto(`/alerts/${await alertOf('mallory')}`);
  const sample = page.getByRole('table', { name: 'Sample calls' }).locator('button.whole').first();
  await sample.click();
  await panel.getByRole('link', { name: 'mallory' }).waitFor();
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
  expect(await sample.evaluate((element) => element === document.activeElement)).toBe(true);
});

it('blocks by hand from an alert, at the gateway as well, and undoes it', async () => {
  expect(await statusOf('key-mallory')).toBe(200);
  const alert = await alertOf('mallory');
  await page.goto(`/alerts/${alert}`);
  await page.getByRole('button', { name: 'Block now' }).click();
  await check(page, 'block now');
  const dialog = page.getByRole('dialog');
  expect(await dialog.getByRole('button', { name: 'Block now' }).isDisabled()).toBe(true);
  await dialog.getByLabel('Reason').fill('a person has seen it');
  await dialog.getByRole('button', { name: 'Block now' }).click();
  await page.waitForURL(/\/responses\/ac_/);
  const action = new URL(page.url()).pathname;
  await page.getByText('In force').first().waitFor();
  expect([await statusOf('key-mallory'), await statusOf('key-alice')]).toEqual([403, 200]);

  await page.goto('/responses');
  const row = page.getByRole('row').filter({ has: page.locator(`a[href="${action}"]`) });
  await row.getByText('a person has seen it').waitFor();
  await row.getByRole('button', { name: 'Release' }).click();
  await page.getByLabel('Reason').fill('it was a drill');
  await dialog.getByRole('button', { name: 'Release' }).click();
  await expect.poll(() => statusOf('key-mallory')).toBe(200);
  await page.goto('/responses?group=ended');
  await row.getByText('Released', { exact: true }).waitFor();
  await page.goto(action);
  await page.getByText('it was a drill').first().waitFor();
  await page.goto(`/alerts/${alert}`);
  await page.locator(`a[href="${action}"]`).first().waitFor();
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
  await page.goto('/alerts?state=all');
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
    // The new row waits until somebody asks for it; nothing moves under the cursor. Others may be new before it is.
    const fresh = page.getByRole('button', { name: /^Show \d+ new$/ });
    await fresh.waitFor();
    const row = page.getByRole('row').filter({ hasText: 'bob' }).filter({ hasText: 'limit-what-spikes' }).first();
    const isShown = async () => {
      if (await fresh.isVisible()) await fresh.click();
      return row.isVisible();
    };
    await until(isShown, 'the list shows what the policy does about bob');
    await until(() => loop.statuses.at(-1) === 403, 'the gateway refuses bob');
    const held = (await (await fetch(`${admin}/plugins?tags=outrider`)).json()) as { data: unknown[] };
    expect(held.data.length).toBeGreaterThan(0);
    await row.getByText('In force').waitFor();
    await check(page, 'responses');

    // Whoever goes on with it is blocked again, by another action: this one is meant.
    const action = await row.locator('a[href^="/responses/"]').getAttribute('href');
    const released = page.getByRole('row').filter({ has: page.locator(`a[href="${action}"]`) });
    const refused = loop.statuses.length;
    await released.getByRole('button', { name: 'Release' }).click();
    await page.getByLabel('Reason').fill('the test has seen it');
    await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click();
    await released.getByText('Released', { exact: true }).waitFor();
    await until(() => loop.statuses.slice(refused).includes(200), 'the gateway lets bob through again');
  } finally {
    await loop.end();
  }
});

it('marks an alert as false, and lists it among those', async () => {
  const alert = `/alerts/${await alertOf('bob')}`;
  await page.goto(alert);
  await page.getByRole('button', { name: 'False positive' }).click();
  await check(page, 'false positive');
  await page.getByLabel('Reason').fill('bob moves his catalogue');
  await page.getByRole('dialog').getByRole('button', { name: 'Mark as false positive' }).click();
  await page.getByText('False positive', { exact: true }).first().waitFor();
  await page.getByText('bob moves his catalogue').waitFor();
  await expect.poll(() => page.getByRole('button', { name: /^(Resolve|False positive)$/ }).count()).toBe(0);
  const alerts = page.getByRole('table', { name: 'Alerts' });
  await page.goto('/alerts?state=false_positive');
  await alerts.locator(`a[href="${alert}"]`).waitFor();
  await page.goto('/alerts?state=open,acknowledged,resolved');
  await page.getByRole('heading', { name: 'Alerts' }).waitFor();
  await expect.poll(() => alerts.locator(`a[href="${alert}"]`).count()).toBe(0);
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
});

it('asks a person while automatic actions are stopped, who approves one and rejects another', async () => {
  await page.goto('/policies/limit-what-spikes');
  for (const name of ['carol', 'dave']) {
    await page.getByRole('combobox', { name: 'Consumers' }).fill(name);
    await page.keyboard.press('Enter');
  }
  await page.getByRole('button', { name: 'Save and enforce' }).click();
  await page.getByText(/about bob, carol or dave/).waitFor();
  const loops = [attack('key-carol'), attack('key-dave')] as const;
  try {
    const policy = 'limit-what-spikes';
    const proposals = async () => {
      const proposed = await list<{ target: { label: string }; origin: { name?: string } }>('actions?state=proposed');
      return proposed.filter(({ origin }) => origin.name === policy).map(({ target }) => target.label);
    };
    await expect.poll(proposals, { timeout: 120_000 }).toEqual(expect.arrayContaining(['carol', 'dave']));
    expect(loops.map(({ statuses }) => statuses.includes(403))).toEqual([false, false]);
    await page.goto('/responses?group=proposed');
    const rowOf = (name: string) => page.getByRole('row').filter({ hasText: name }).filter({ hasText: policy }).first();
    const dialog = page.getByRole('dialog');
    await rowOf('dave').getByRole('button', { name: 'Reject' }).click();
    await dialog.getByLabel('Reason').fill('dave has told us');
    await dialog.getByRole('button', { name: 'Reject' }).click();
    await dialog.waitFor({ state: 'detached' });
    const carol = await rowOf('carol').locator('a[href^="/responses/"]').getAttribute('href');
    await rowOf('carol').getByRole('button', { name: 'Approve' }).click();
    await check(page, 'approve');
    await dialog.getByRole('button', { name: 'Approve' }).click();
    await dialog.waitFor({ state: 'detached' });
    await until(() => loops[0].statuses.at(-1) === 403, 'the gateway refuses carol');
    expect(loops[1].statuses.includes(403)).toBe(false);
    await page.goto('/responses?group=ended');
    await rowOf('dave').getByText('Rejected').waitFor();
    await rowOf('dave').getByText('dave has told us').waitFor();
    await page.goto(carol!);
    await page.getByText('In force').first().waitFor();
    await page.getByRole('button', { name: 'Release' }).click();
    await dialog.getByLabel('Reason').fill('carol has stopped');
    await dialog.getByRole('button', { name: 'Release' }).click();
    await page.getByText('Released', { exact: true }).first().waitFor();
  } finally {
    await Promise.all(loops.map((loop) => loop.end()));
  }
});

it('lets automatic actions go on', async () => {
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
  const tables = page.getByRole('complementary', { name: 'Tables' });
  await tables.getByLabel('Find in the tables').fill('until the end of the answer');
  await tables.getByText('Nothing is called so, or means that.').waitFor();
  await tables.getByLabel('Find in the tables').fill('latency measured');
  await tables.getByText('integer, ms').first().waitFor();
  await check(page, 'what is found in the tables');
  await editor.fill('SELECT max()');
  await page.keyboard.press('ArrowLeft');
  await tables.getByRole('button', { name: 'latency_total_ms' }).first().click();
  expect(await editor.innerText()).toBe('SELECT max(latency_total_ms)');
  await tables.getByRole('button', { name: 'Clear' }).click();
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
  // Whoever gets the address gets the answer, and going back asks what was asked before.
  await page.reload();
  await page.locator('.uplot').waitFor();
  await page.goBack();
  await page.getByText(/10,000 rows/).waitFor();
  expect(await editor.innerText()).toContain('LIMIT 10000');
});

it('writes an answer as a file', async () => {
  await page.goto('/hunt/sql');
  await page.getByLabel('SQL statement').fill('SELECT DISTINCT status FROM calls ORDER BY status');
  await page.getByRole('button', { name: 'Run' }).click();
  const rows = page.getByRole('rowgroup', { name: 'Answer: rows' }).getByRole('row');
  await rows.first().waitFor();
  const shown = await rows.allInnerTexts();
  expect(shown.length).toBeGreaterThan(1);
  await page.getByRole('button', { name: 'Export' }).click();
  const downloaded = page.waitForEvent('download');
  await page.getByRole('menuitem', { name: 'CSV' }).click();
  const file = await downloaded;
  expect(file.suggestedFilename()).toMatch(/^outrider-.*\.csv$/);
  const lines = readFileSync(await file.path(), 'utf8')
    .trim()
    .split(/\r?\n/);
  expect(lines).toEqual(['status', ...shown.map((text) => text.trim())]);
});

it('says why it was refused, and goes on', async () => {
  await page.goto('/hunt/sql');
  const editor = page.getByLabel('SQL statement');
  await editor.fill('SELECT nothing FROM calls');
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByRole('alert').filter({ hasText: 'nothing' }).waitFor();
  await check(page, 'a refused statement');
  await editor.fill('SELECT 7 AS seven');
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByText(/^1 row ·/).waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);

  const isList = (url: URL) => url.pathname === '/api/v1/alerts' && url.searchParams.has('sort');
  const problem = {
    type: 'urn:outrider:problem:forbidden',
    status: 403,
    title: 'Forbidden',
    detail: 'not for you today',
  };
  let isRefused = true;
  await page.route(isList, (route) =>
    isRefused
      ? route.fulfill({ status: 403, contentType: 'application/problem+json', body: JSON.stringify(problem) })
      : route.continue(),
  );
  await page.goto('/alerts?state=all');
  await page.getByRole('alert').filter({ hasText: 'not for you today' }).waitFor();
  await check(page, 'a refused list');
  isRefused = false;
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.getByRole('table', { name: 'Alerts' }).getByRole('link').first().waitFor();

  await page.goto('/hunt?call=999999999-0');
  await page.getByRole('dialog').getByRole('alert').filter({ hasText: 'Not found' }).waitFor();
  await check(page, 'no such call');
});

it('bears a list without an end', async () => {
  await page.goto('/hunt?q=path:/shop/*');
  const table = page.getByRole('table', { name: 'Calls' });
  const rows = page.getByRole('rowgroup', { name: 'Calls: rows' });
  await rows.getByText('/shop/').first().waitFor();
  const count = async () => Number(await table.getAttribute('aria-rowcount'));
  expect(await count()).toBe(200);
  await rows.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  await expect.poll(count).toBeGreaterThan(200);
  expect(await rows.getByRole('row').count()).toBeLessThan(100);
  await page.goto('/hunt?q=path:/nowhere/at/all');
  await page.getByText('No call fits this search.').waitFor();
  await check(page, 'an empty search');
});

it('lets an admin look after gateways, people and tokens', async () => {
  await page.goto('/settings/gateways');
  await page.getByRole('table', { name: 'Gateways' }).getByText('practice').first().waitFor();
  await page.getByRole('table', { name: 'Plugins' }).getByText('key-auth').first().waitFor();
  await check(page, 'gateways');
  await page.goto('/settings/audit');
  await page.getByRole('table', { name: 'Audit log' }).getByText('dave has told us').waitFor();

  await page.goto('/settings/people');
  const people = page.getByRole('table', { name: 'People' });
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Add somebody' }).click();
  await dialog.getByLabel('Name').fill('nora');
  await dialog.getByLabel('First password').fill(PASSWORD);
  await check(page, 'add somebody');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  const nora = people.getByRole('row').filter({ hasText: 'nora' });
  await nora.getByText('enabled').waitFor();
  const signsIn = async () =>
    (
      await fetch(`${outrider.url}/api/v1/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'nora', password: PASSWORD }),
      })
    ).status;
  expect(await signsIn()).toBe(200);
  await nora.getByRole('button', { name: 'Change' }).click();
  await dialog.getByRole('button', { name: 'Disable' }).click();
  await nora.getByText('disabled').waitFor();
  expect(await signsIn()).toBe(401);
  await check(page, 'people');

  await page.goto('/settings/tokens');
  await page.getByRole('button', { name: 'Make a token' }).click();
  await dialog.getByLabel('Name').fill('of-the-flow');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const secret = await page.getByRole('dialog', { name: 'The token of of-the-flow' }).locator('code').innerText();
  const asks = async () =>
    (await fetch(`${outrider.url}/api/v1/alerts`, { headers: { authorization: `Bearer ${secret}` } })).status;
  expect(await asks()).toBe(200);
  await page.getByRole('button', { name: 'I have it' }).click();
  const token = page.getByRole('table', { name: 'Tokens' }).getByRole('row').filter({ hasText: 'of-the-flow' });
  expect(await page.getByText(secret).count()).toBe(0);
  await token.getByRole('button', { name: 'Revoke' }).click();
  await dialog.getByRole('button', { name: 'Revoke' }).click();
  await token.getByText('revoked').waitFor();
  expect(await asks()).toBe(401);
  await check(page, 'tokens');
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
    await page.getByRole('table', { name: 'Calls' }).getByText('/shop/items/').first().waitFor();
    await check(page, `long names at ${width}`);
    await page.goto('/apis');
    await page.getByRole('table', { name: 'Endpoints' }).getByText('/shop/items').first().waitFor();
    await check(page, `endpoints at ${width}`);
  }
});

/** A rate above zero. */
const RATE = /[1-9]\S*\/s/;

/** Every page, in both themes; for the documents, where a directory is named, as seen from the repository. */
it('looks right in both themes', async () => {
  const named = process.env['SCREENSHOTS'];
  const directory = named && resolve(import.meta.dirname, '../..', named);
  if (directory) mkdirSync(directory, { recursive: true });
  const alert = await alertOf('mallory');
  const [endpoint] = await list<{ id: string }>('endpoints?limit=1&sort=calls');
  const [action] = await list<{ id: string }>('actions?limit=1');
  const search = 'search?q=consumer:mallory+status:403&limit=1';
  const [call] = await list<{ position: number; call_index: number }>(search);
  const pages: [string, string][] = [
    ['overview', '/'],
    ['alerts', '/alerts'],
    ['alert', `/alerts/${alert}`],
    ['timeline', '/timeline?kind=consumer&entity=mallory&last=15m'],
    ['call', `/hunt?q=consumer:mallory&call=${call!.position}-${call!.call_index}`],
    ['responses', '/responses?group=all'],
    ['action', `/responses/${action!.id}`],
    ['policies', '/policies'],
    ['policy', '/policies/limit-what-spikes'],
    ['apis', '/apis'],
    ['endpoint', `/apis/${endpoint!.id}?last=1h`],
    ['hunt', '/hunt?q=status:403'],
    ['sql', '/hunt/sql'],
    ['saved', '/hunt/saved/refused-often'],
    ['health', '/settings/health'],
    ['gateways', '/settings/gateways'],
    ['audit', '/settings/audit'],
    ['messages', '/settings/messages'],
    ['people', '/settings/people'],
    ['tokens', '/settings/tokens'],
    ['services', '/settings/services'],
    ['erasures', '/settings/erasures'],
  ];
  for (const scheme of ['dark', 'light'] as const) {
    const one = await open(browser, outrider, { scheme });
    // Who may do everything sees all that there is.
    await signIn(one.page, 'admin');
    for (const [name, path] of pages) {
      await one.page.goto(path);
      await one.page.getByRole('heading', { level: 1 }).waitFor();
      if (name === 'sql') {
        await one.page.getByRole('button', { name: 'Run' }).click();
        await one.page
          .getByRole('complementary', { name: 'Tables' })
          .getByText('calls', { exact: true })
          .first()
          .click();
      }
      // A rate needs two readings of the counters.
      if (name === 'overview') await one.page.locator('.flow-way').getByText(RATE).nth(1).waitFor();
      await expect.poll(() => one.page.locator('.skeleton').count()).toBe(0);
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
