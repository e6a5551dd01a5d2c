// An outrider that nobody has used: the first admin, what empty pages teach, roles, and what happens when it goes away.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { check, launch, open, signIn } from './browser';
import { fresh, PASSWORD, type Running } from './outrider';

let browser: Browser;
let outrider: Running;

beforeAll(async () => {
  [browser, outrider] = await Promise.all([launch(), fresh()]);
});
afterAll(async () => {
  await browser?.close();
  await outrider?.stop();
});

it('makes the first admin with the setup token', async () => {
  const { page, context, faults } = await open(browser, outrider);
  await page.goto('/alerts?state=open');
  await page.getByRole('heading', { name: 'Welcome to outrider' }).waitFor();
  await check(page, 'setup');
  await page.getByLabel('Setup token').fill('not this one');
  await page.getByLabel('Name').fill('anna');
  await page.getByLabel('Password').first().fill(PASSWORD);
  await page.getByRole('button', { name: 'Make the first admin' }).click();
  await page.getByRole('alert').filter({ hasText: 'setup token' }).waitFor();
  await page.getByLabel('Setup token').fill(outrider.setupToken());
  await page.getByLabel('Password').first().fill(PASSWORD);
  await page.getByRole('button', { name: 'Make the first admin' }).click();
  // Where one wanted to go is where one is.
  await page.getByRole('heading', { name: 'Alerts' }).waitFor();
  expect(page.url()).toContain('/alerts?state=open');
  expect(faults).toEqual([]);
  await context.close();
});

it('says what is wrong to whom the identity provider sent back, and nothing else that is in the address', async () => {
  const { page, context, faults } = await open(browser, outrider);
  await page.goto('/?refused=no_role');
  await page.getByRole('alert').filter({ hasText: 'You have no role in outrider.' }).waitFor();
  await page.waitForURL((url) => !url.search);
  await check(page, 'refused');
  await page.goto('/?refused=Call+us');
  await page.getByRole('heading', { name: 'Sign in to outrider' }).waitFor();
  expect(await page.getByRole('alert').count()).toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

it('teaches the next step where there is nothing yet', async () => {
  const { page, context, faults } = await open(browser, outrider);
  await signIn(page, 'anna');
  const empty: [string, string][] = [
    ['/', 'outrider kong setup'],
    ['/alerts', 'outrider replay access.ndjson --into'],
    ['/timeline', 'outrider doctor'],
    ['/timeline?kind=consumer&entity=nobody', 'Show the last 30 days'],
    ['/responses', 'outrider responder release-all'],
    ['/responses?group=proposed', 'guard rails'],
    ['/policies', 'Without one, alerts are raised and nothing is done'],
    ['/apis', 'outrider doctor'],
    ['/hunt', 'Terms stand beside each other'],
    ['/hunt/saved', 'outrider hunt add'],
    ['/settings/gateways', 'admin_url'],
    ['/settings/messages', '[[notify]]'],
    ['/settings/people', 'outrider person create'],
    ['/settings/tokens', 'curl -s'],
    ['/settings/services', 'outrider collector'],
    ['/settings/erasures', 'Nobody was erased yet.'],
  ];
  for (const [path, words] of empty) {
    await page.goto(path);
    await page.getByText(words).first().waitFor();
    await check(page, path);
  }
  expect(faults).toEqual([]);
  await context.close();
});

it('shows nobody what they may not do', async () => {
  for (const role of ['viewer', 'analyst', 'responder']) outrider.addPerson(role, role);
  const { page, context, faults } = await open(browser, outrider);
  await signIn(page, 'viewer');
  await page.goto('/policies');
  await page.getByText('No policies yet.').waitFor();
  expect(await page.getByRole('link', { name: 'New policy' }).count()).toBe(0);
  await page.goto('/settings/people');
  await page.getByText('This is for admins.').waitFor();
  await page.goto('/settings/health');
  await page.getByRole('navigation', { name: 'Settings' }).waitFor();
  await page.getByText('30 days besides today').waitFor();
  expect(await page.getByRole('link', { name: 'Tokens' }).count()).toBe(0);
  await page.goto('/responses');
  await page.getByText('Nobody is blocked or limited.').waitFor();
  expect(await page.getByRole('button', { name: 'Stop automatic actions' }).count()).toBe(0);
  expect(faults).toEqual([]);
  await context.close();
});

it('refuses a wrong password, and asks again when a session is over', async () => {
  const { page, context } = await open(browser, outrider);
  await page.goto('/');
  await page.getByLabel('Name').fill('anna');
  await page.getByLabel('Password').first().fill('not the password');
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('alert').waitFor();
  await check(page, 'sign in');
  await signIn(page, 'anna');
  await page.goto('/settings/audit?log=access');
  await page.getByText('signed in').first().waitFor();
  await context.clearCookies();
  await page.getByRole('link', { name: 'Alerts', exact: true }).click();
  await page.getByText('Your session has ended.').waitFor();
  await page.getByLabel('Name').fill('anna');
  await page.getByLabel('Password').first().fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('heading', { name: 'Alerts' }).waitFor();
  await page.getByTitle('Signed in as anna').click();
  await page.getByRole('menuitem', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to outrider' }).waitFor();
  expect(await page.getByText('Your session has ended.').count()).toBe(0);
  await context.close();
});

it('says what is not there', async () => {
  const { page, context } = await open(browser, outrider);
  await signIn(page, 'anna');
  await page.goto('/nothing/here');
  await page.getByText('There is no such page.').waitFor();
  await page.goto('/alerts/al_0000000000000000');
  await page.getByRole('alert').filter({ hasText: 'Not found' }).waitFor();
  await check(page, 'not found');
  await context.close();
});

it('goes anywhere with the keyboard', async () => {
  const { page, context } = await open(browser, outrider);
  await signIn(page, 'anna');
  await page.keyboard.press('g');
  await page.keyboard.press('p');
  await page.getByRole('heading', { name: 'Policies' }).waitFor();
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('audit');
  await check(page, 'palette');
  await page.keyboard.press('Enter');
  await page.waitForURL('**/settings/audit');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.keyboard.press('?');
  await page.getByRole('dialog').getByText('Go to anything').waitFor();
  await context.close();
});

it('says how soon it is there, and nothing moves', async () => {
  const { page, context } = await open(browser, outrider);
  await signIn(page, 'anna');
  await page.addInitScript(() => {
    const seen = globalThis as unknown as { shifted: number };
    seen.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as unknown as { value: number; hadRecentInput: boolean }[]) {
        if (!entry.hadRecentInput) seen.shifted += entry.value;
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  const began = performance.now();
  await page.goto('/');
  await page.getByText('No open alerts.').waitFor();
  const tookMs = Math.round(performance.now() - began);
  await page.waitForTimeout(1500);
  const shifted = await page.evaluate(() => (globalThis as unknown as { shifted: number }).shifted);
  console.log(`first view: ${tookMs} ms; layout shift: ${shifted.toFixed(3)}`);
  // How fast that is depends on what else the machine does; what moves does not.
  expect(shifted).toBeLessThan(0.1);
  await context.close();
});

it('says when outrider is away', async () => {
  const { page, context } = await open(browser, outrider);
  await signIn(page, 'anna');
  await page.goto('/alerts');
  await page.getByText('Live', { exact: true }).waitFor();
  // The other pages come soon after the first one.
  await page.waitForFunction(() =>
    performance
      .getEntriesByType('resource')
      .some(({ name, duration }) => /\/ApisPage-.*\.js$/.test(name) && duration > 0),
  );
  await outrider.stop();
  await page.getByText('outrider does not answer.').waitFor();
  await page.getByRole('link', { name: 'APIs', exact: true }).click();
  await page.getByRole('alert').filter({ hasText: 'outrider is away' }).waitFor();
  await context.close();
});
