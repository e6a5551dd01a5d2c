import { QueryClient } from '@tanstack/react-query';
import { act } from 'react';
import { beforeEach, expect, it, vi } from 'vitest';

import type { ApiRow, Drift, TemplateRow } from '../../api/types';
import { stage } from '../../testing';
import { importCommand, servicePath } from './service';
import ServicePage from './ServicePage';

vi.mock('uplot', () => ({ default: class {} }));

const ROW: ApiRow = {
  gateway: 'kong',
  workspace: 'w',
  service: 's-1',
  service_name: 'shop',
  endpoints: 2,
  calls: 600,
  first_seen_ms: 1,
  last_seen_ms: 2,
  document: null,
  risk: null,
};
const DOCUMENT = { title: 'Shop', version: '2', operations: 3, changed_ms: 5, changed_by: 'person:anna' };
const DRIFT: Drift = {
  kind: 'shadow',
  severity: 'high',
  endpoint: 'ep_1',
  method: 'DELETE',
  template: '/carts',
  pointer: null,
  parameter: null,
  route: 'r',
  sentence: 'DELETE /carts is not documented, and answered 60 calls.',
  calls: 60,
  of: 60,
  first_seen_ms: 1,
  last_seen_ms: 2,
};
const ORPHAN: Drift = {
  ...DRIFT,
  kind: 'orphan',
  severity: 'info',
  endpoint: null,
  method: 'GET',
  template: '/prices',
  pointer: '/paths/~1prices/get',
  sentence: 'GET /prices is documented, and was never called.',
};
const DECIDED: TemplateRow = {
  id: 'td_1',
  decision: {
    gateway: 'kong',
    workspace: 'w',
    service: 's-1',
    template: '/orders/{order_id}',
    change: { rename: { parameter: 'number' } },
    origin: 'operator',
  },
  decided_ms: 3,
  decided_by: 'person:anna',
};

let rows: ApiRow[];
let drifts: Drift[];
let warnings: { pointer: string; what: string }[];
let decided: TemplateRow[];
let refusal: Response | undefined;
let previewed: unknown[];
let leftOut: { pointer: string; what: string }[];
let sent: { method: string; url: string; body: unknown }[];

const on = stage({
  role: 'responder',
  answer: async (url, request) => {
    const path = url.pathname.replace('/api/v1/', '');
    if (request.method !== 'GET') {
      const text = await request.text();
      if (path === 'templates/preview') {
        previewed.push(JSON.parse(text));
        const renamed = { endpoint: 'ep_1', method: 'GET', before: '/orders/{number}', after: '/orders/{order_id}' };
        return Response.json({
          items: [{ kind: 'renamed', ...renamed }],
          more: 0,
          left_out: leftOut,
          more_left_out: 0,
        });
      }
      sent.push({ method: request.method, url: path + url.search, body: text ? JSON.parse(text) : undefined });
      if (refusal) return refusal.clone();
      if (request.method === 'DELETE') {
        rows = [{ ...ROW, document: null }];
        return new Response(null, { status: 204 });
      }
      if (path === 'templates') {
        decided = [];
        return Response.json({ items: [], next: null });
      }
      rows = [{ ...ROW, document: DOCUMENT }];
      return Response.json({ title: 'Shop', version: '2', operations: 3, warnings, warnings_left_out: 1 });
    }
    if (path === 'apis') return Response.json({ items: rows, next: null });
    if (path === 'apis/drift')
      return Response.json({ has_document: rows[0]?.document !== null, items: drifts, warnings });
    if (path === 'apis/openapi') return Response.json({ openapi: '3.1.0', info: { title: 'shop' } });
    if (path === 'templates') return Response.json({ items: decided, next: null });
    return undefined;
  },
  makeClient: () => new QueryClient({ defaultOptions: { queries: { retry: false } } }),
});
beforeEach(() => {
  rows = [ROW];
  [drifts, warnings, decided, sent] = [[], [], [], []];
  refusal = undefined;
  [previewed, leftOut] = [[], []];
});

const show = (more = '') => on.show(<ServicePage />, servicePath(ROW) + more);
const text = () => on.host.textContent;
const button = (words: string, within: ParentNode = document) =>
  Array.from(within.querySelectorAll('button')).find((one) => one.textContent === words);

async function press(words: string, within?: ParentNode) {
  const found = button(words, within);
  expect(found, words).toBeDefined();
  act(() => found!.click());
  await on.settle();
}

async function choose(file: File) {
  const field = on.host.querySelector<HTMLInputElement>('input[type=file]')!;
  Object.defineProperty(field, 'files', { configurable: true, value: [file] });
  act(() => void field.dispatchEvent(new Event('change', { bubbles: true })));
  await on.settle();
}

it('teaches how a document is given where there is none', async () => {
  await show();
  expect(on.host.querySelector('h1')!.textContent).toBe('shop');
  expect(text()).toContain('Nothing to compare with yet.');
  expect(text()).toContain('outrider openapi import --service shop openapi.yaml');
});

it('says which gateway where two have a service of that name, and quotes what a shell would take apart', () => {
  const other = { ...ROW, gateway: 'edge 2', service_name: "bob's shop" };
  expect(importCommand(ROW, [ROW, other])).toBe('outrider openapi import --service shop openapi.yaml');
  expect(importCommand(other, [other, { ...other, gateway: 'kong' }])).toBe(
    `outrider openapi import --service 'bob'\\''s shop' --gateway 'edge 2' openapi.yaml`,
  );
});

it('sends the document as it is, and shows what was left out of it', async () => {
  await show();
  warnings = [{ pointer: '/paths/~1a/get', what: 'its parameters are no list' }];
  await choose(new File(['openapi: 3.0.3'], 'shop.yaml'));
  expect(sent).toEqual([
    {
      method: 'PUT',
      url: 'apis/document?gateway=kong&workspace=w&service=s-1',
      body: { text: 'openapi: 3.0.3' },
    },
  ]);
  expect(on.host.querySelector('[role=status]')!.textContent).toMatch(/^3 operations read/);
  expect(text()).toContain('2 parts of it were left out');
  expect(text()).toContain('/paths/~1a/getits parameters are no list');
  expect(button('Replace…')).toBeDefined();
  expect(text()).toContain('No differences.');
});

it('says why a document is refused, and keeps what was there', async () => {
  refusal = Response.json({ type: 'problem', status: 422, detail: 'this is no OpenAPI document' }, { status: 422 });
  await show();
  await choose(new File(['{}'], 'shop.json'));
  expect(on.host.querySelector('[role=alert]')!.textContent).toContain('this is no OpenAPI document');
  expect(button('Upload…')).toBeDefined();
});

it('does not send what is too large', async () => {
  await show();
  await choose(new File([new Uint8Array(4 * 1024 * 1024 + 1)], 'large.json'));
  expect(sent).toEqual([]);
  expect(on.host.querySelector('[role=alert]')!.textContent).toContain('large.json');
});

it('deletes the document once that is confirmed', async () => {
  rows = [{ ...ROW, document: DOCUMENT }];
  await show();
  await press('Delete', on.host);
  expect(sent).toEqual([]);
  await press('Delete', document.querySelector('[role=dialog]')!);
  expect(sent.map(({ method }) => method)).toEqual(['DELETE']);
  expect(button('Upload…')).toBeDefined();
});

it('shows a viewer no button that would fail', async () => {
  on.client.setQueryData(['session'], { role: 'viewer' });
  rows = [{ ...ROW, document: DOCUMENT }];
  decided = [DECIDED];
  await show();
  expect(Array.from(on.host.querySelectorAll('button'), (one) => one.textContent).filter(Boolean)).toEqual([
    'Export OpenAPI',
  ]);
});

it('lists differences, filters them by what is in the address, and leads to the endpoints', async () => {
  rows = [{ ...ROW, document: DOCUMENT }];
  drifts = [DRIFT, ORPHAN];
  await show();
  const sentences = () =>
    Array.from(on.host.querySelectorAll('[aria-label=Differences] .table-row .muted.wrap'), (one) => one.textContent);
  expect(sentences()).toEqual([DRIFT.sentence, ORPHAN.sentence]);
  expect(on.host.querySelector('a[href="/apis/ep_1"]')!.textContent).toBe('DELETE /carts');
  expect(text()).toContain('/paths/~1prices/get');
  const facet = Array.from(on.host.querySelectorAll('.facet')).find((one) => one.textContent.includes('Orphan'))!;
  act(() => (facet as HTMLButtonElement).click());
  await on.settle();
  expect(on.address).toContain('service=s-1');
  expect(on.address).toContain('kind=orphan');
  expect(sentences()).toEqual([ORPHAN.sentence]);
  on.leave();
  await show('&severity_min=critical');
  expect(text()).toContain('No difference fits these filters.');
});

it('takes the paths of its document as templates, once it was seen what that does', async () => {
  rows = [{ ...ROW, document: DOCUMENT }];
  await show();
  leftOut = [{ pointer: '/paths/~1{a}{b}', what: 'two parameters touch' }];
  await press('Take its paths as templates…', on.host);
  const form = {
    document: { gateway: 'kong', workspace: 'w', service: 's-1' },
    decisions: [],
    taken_back: [],
  };
  expect([previewed, sent]).toEqual([[form], []]);
  const dialog = document.querySelector('[role=dialog]')!;
  expect(dialog.textContent).toContain('Of the endpoints 1 is renamed.');
  expect(dialog.textContent).toContain('1 operation of the document cannot stand as written');
  await press('Take them', dialog);
  expect(sent).toEqual([{ method: 'POST', url: 'templates', body: form }]);
  expect(document.querySelector('[role=dialog]')).toBeNull();
  on.leave();
  act(() => void on.client.setQueryData(['session'], { role: 'analyst' }));
  await show();
  expect(button('Take its paths as templates…')).toBeUndefined();
});

it('takes a decision back, and shows those of other services nowhere', async () => {
  decided = [
    DECIDED,
    { ...DECIDED, id: 'td_2', decision: { ...DECIDED.decision, service: 's-2', template: '/elsewhere/{id}' } },
  ];
  await show();
  expect(text()).toContain('Called {number}');
  expect(text()).not.toContain('/elsewhere');
  await press('Take back', on.host);
  expect(document.querySelector('[role=dialog] li')!.textContent).toBe(
    'RenamedGET /orders/{number} becomes /orders/{order_id}',
  );
  await press('Take back', document.querySelector('[role=dialog]')!);
  expect(sent).toEqual([{ method: 'POST', url: 'templates', body: { taken_back: ['td_1'], decisions: [] } }]);
  expect(text()).toContain('all templates are as they were learned');
});

it('saves what was seen as a file that is called as the service is', async () => {
  const saved: string[] = [];
  vi.stubGlobal('URL', Object.assign(URL, { createObjectURL: () => 'blob:x', revokeObjectURL: () => undefined }));
  vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function click(this: HTMLAnchorElement) {
    saved.push(this.download);
  });
  await show();
  await press('Export OpenAPI');
  expect(saved).toEqual(['shop-openapi.json']);
  vi.restoreAllMocks();
});

it('says that a service is not there', async () => {
  rows = [];
  await show();
  expect(text()).toContain('Nothing was seen of such a service.');
});
