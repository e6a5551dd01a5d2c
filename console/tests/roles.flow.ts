// What each role sees: every page, and on it the buttons that work for who is signed in, and no other. And what the gateway holds of
// outrider's, as outrider says it and as the gateway does.
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { check, launch, open, signIn } from './browser';
import { demo, type Running } from './outrider';

const ROLES = ['viewer', 'analyst', 'responder', 'admin'] as const;
type Role = (typeof ROLES)[number];

let browser: Browser;
let outrider: Running;
let admin: string;
/** The alert of the demo, and a block that is in force. */
let [alert, action] = ['', ''];

interface Window {
  page: Page;
  context: BrowserContext;
  faults: string[];
  /** What the API refused because of the role. */
  refused: string[];
}

async function windowOf(role: Role): Promise<Window> {
  const one = await open(browser, outrider);
  const refused: string[] = [];
  one.page.on('response', (response) => {
    if (response.status() === 403) refused.push(`${response.request().method()} ${response.url()}`);
  });
  await signIn(one.page, role);
  return { ...one, refused };
}

async function closed({ context, faults, refused }: Window): Promise<void> {
  expect([faults, refused]).toEqual([[], []]);
  await context.close();
}

interface Plugin {
  name: string;
}

async function heldByGateway(): Promise<string[]> {
  const answer = await fetch(`${admin}/plugins?tags=outrider`);
  return ((await answer.json()) as { data: Plugin[] }).data.map(({ name }) => name);
}

beforeAll(async () => {
  [browser, outrider] = await Promise.all([launch(), demo()]);
  admin = /Admin API (http:\/\/[\d.:]+)/.exec(outrider.said())![1]!;
  for (const role of ROLES) outrider.addPerson(role, role);
});
afterAll(async () => {
  await browser?.close();
  await outrider?.stop();
});

it('begins with an alert, and with a block that a responder made of it', async () => {
  await outrider.says('everything stays up');
  const one = await windowOf('responder');
  const { page } = one;
  await page.goto('/alerts?state=all');
  await page.getByRole('table', { name: 'Alerts' }).getByRole('link', { name: 'Request spike' }).first().click();
  await page.getByRole('button', { name: 'Block now' }).click();
  alert = new URL(page.url()).pathname;
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Reason').fill('for all to see');
  await dialog.getByRole('button', { name: 'Block now' }).click();
  await page.waitForURL(/\/responses\/ac_/);
  action = new URL(page.url()).pathname;
  await page.getByText('In force').first().waitFor();
  await closed(one);
});

/** The least role that sees a button or a field, page by page; what is there for nobody is there for `never`. */
const SEEN: [path: () => string, there: string | RegExp, seen: [what: string, least: Role | 'never'][]][] = [
  [() => '/', 'On fire', []],
  [() => '/alerts?state=all', 'Request spike', [['checkbox:Choose', 'analyst']]],
  [
    () => alert,
    'What was done',
    [
      ['button:Acknowledge', 'analyst'],
      ['button:Resolve', 'analyst'],
      ['button:False positive', 'analyst'],
      ['button:Take it', 'analyst'],
      ['textbox:Comment', 'analyst'],
      ['link:Make a policy', 'responder'],
      ['button:Block now', 'responder'],
    ],
  ],
  [
    () => '/responses',
    'for all to see',
    [
      ['button:Release', 'responder'],
      ['button:Stop automatic actions', 'responder'],
    ],
  ],
  [() => action, 'for all to see', [['button:Release', 'responder']]],
  [() => '/policies', 'block-request-spikes', [['link:New policy', 'responder']]],
  [() => '/policies/new', 'In words', [['button:Save', 'responder']]],
  // What the configuration says nobody changes here.
  [
    () => '/policies/block-request-spikes',
    'comes from the configuration file',
    [
      ['button:Save', 'never'],
      ['button:Delete', 'never'],
    ],
  ],
  [() => '/apis', '/shop/items/', []],
  [() => '/posture?state=all', 'Posture', [['button:Export CSV', 'viewer']]],
  [() => '/hunt?q=status:403', '403', [['link:Save as a hunt', 'analyst']]],
  [
    () => `/hunt/sql?statement=${encodeURIComponent('SELECT count(*) AS calls FROM calls')}`,
    /^1 row ·/,
    [['button:Export', 'viewer']],
  ],
  [() => '/hunt/saved', 'hunt', [['link:New hunt', 'analyst']]],
  [() => '/hunt/saved/new', 'Asks with', [['button:Save', 'analyst']]],
  [
    () => '/settings/health',
    'Health',
    [
      ['link:Audit log', 'viewer'],
      ['link:People', 'admin'],
      ['link:Tokens', 'admin'],
      ['link:Services', 'admin'],
      ['link:Erasures', 'admin'],
    ],
  ],
  [() => '/settings/gateways', 'practice', []],
  [() => '/settings/audit', 'ordered', []],
  [() => '/settings/messages', 'Messages', []],
  [() => '/settings/people', /^(This is for admins\.|Add somebody)$/, [['button:Add somebody', 'admin']]],
  [() => '/settings/tokens', /^(This is for admins\.|Make a token)$/, [['button:Make a token', 'admin']]],
  [() => '/settings/services', /^(This is for admins\.|Make an identity)$/, [['button:Make an identity', 'admin']]],
  [() => '/settings/erasures', /^(This is for admins\.|Nobody was erased yet\.)$/, []],
  [() => '/settings/you', 'Your password', []],
];

describe.each(ROLES)('a %s', (role) => {
  it('sees every page, and on it what they may do', async () => {
    const one = await windowOf(role);
    const { page } = one;
    for (const [path, there, seen] of SEEN) {
      await page.goto(path());
      await page.getByText(there).first().waitFor();
      await expect.poll(() => page.locator('.skeleton').count()).toBe(0);
      for (const [what, least] of seen) {
        const [kind, name] = what.split(':') as ['button' | 'link' | 'checkbox' | 'textbox', string];
        const found = page.getByRole(kind, { name: kind === 'checkbox' ? new RegExp(`^${name}`) : name, exact: true });
        const may = least !== 'never' && ROLES.indexOf(role) >= ROLES.indexOf(least);
        const isThere = async () => (await found.count()) > 0;
        await expect.poll(isThere, { message: `${role} on ${path()}: ${what}` }).toBe(may);
      }
      await check(page, `${path()} for a ${role}`);
    }
    await closed(one);
  });
});

it('says what the gateway holds, until it is released', async () => {
  const one = await windowOf('responder');
  const { page } = one;
  await page.goto('/responses');
  const inLine = page.getByRole('status').filter({ hasText: 'practice holds' });
  await inLine.getByText('1 plugin of outrider’s').click();
  const panel = page.locator('section', { hasText: 'What outrider holds at practice' });
  await panel.getByText(/^1 plugin, seen/).waitFor();
  const rows = panel.getByRole('table', { name: 'Held' }).getByRole('row');
  await rows.filter({ hasText: 'mallory' }).getByText('In force').waitFor();
  expect(await heldByGateway()).toEqual(['request-termination']);
  // What is of whoever runs the gateway is said as theirs.
  const plugins = page.getByRole('table', { name: 'Plugins' }).getByRole('row');
  await plugins.filter({ hasText: 'key-auth' }).filter({ hasText: 'yours' }).first().waitFor();
  expect(await plugins.filter({ hasText: 'request-termination' }).count()).toBe(0);
  await check(page, 'what the gateway holds');

  await rows.getByRole('link', { name: 'Block · 403' }).click();
  await page.getByRole('button', { name: 'Release' }).click();
  await page.getByRole('dialog').getByLabel('Reason').fill('all have seen it');
  await page.getByRole('dialog').getByRole('button', { name: 'Release' }).click();
  await page.getByText('Released', { exact: true }).first().waitFor();
  expect(await heldByGateway()).toEqual([]);
  await page.goto('/settings/gateways');
  await panel.getByText(/^0 plugins, seen/).waitFor();
  await panel.getByText('Nothing: nobody is blocked or limited there.').waitFor();
  await closed(one);
});
