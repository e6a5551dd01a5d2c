// What tests that draw need: the providers that every part of the console stands in, an API that answers as the test says, and what
// their browser does not have: nothing has a layout, and no window is narrow.
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { act, type ReactNode, useEffect } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { MemoryRouter, useLocation, useNavigate } from 'react-router';
import { afterEach, beforeEach, vi } from 'vitest';

import type { Role } from './api/types';

/** What the API answers; nothing is an empty list. */
type Answering = (url: URL, request: Request) => Response | undefined | Promise<Response | undefined>;

interface Stage {
  /** What is drawn is in there. */
  host: HTMLElement;
  /** What is known. Each test begins with nothing. */
  client: QueryClient;
  /** What the API was asked, in order. */
  asked: URL[];
  /** The address, as it is now. */
  address: string;
  /** As the browser's. */
  back: () => void;
  /** Draws at an address, or what is drawn there anew. */
  draw: (part: ReactNode, at?: string) => void;
  /** The same, and waits until all that it asks for is answered. */
  show: (part: ReactNode, at?: string) => Promise<void>;
  settle: () => Promise<void>;
  /** Takes away what is drawn. */
  leave: () => void;
}

interface Setting {
  answer?: Answering;
  /** Who is signed in. */
  role?: Role;
  /** As the console's own, or as the test needs it. */
  makeClient?: () => QueryClient;
}

/** A stage for the tests of a file, new for each of them. */
export function stage({ answer = () => undefined, role, makeClient = () => new QueryClient() }: Setting = {}): Stage {
  let root: Root | undefined;
  const it: Stage = {
    host: document.createElement('div'),
    client: makeClient(),
    asked: [],
    address: '',
    back: () => undefined,
    draw: (part, at = '/') => {
      root ??= createRoot(it.host);
      act(() =>
        root?.render(
          <MantineProvider env="test" withCssVariables={false} withGlobalClasses={false}>
            <QueryClientProvider client={it.client}>
              <MemoryRouter initialEntries={[at]} useTransitions={false}>
                {part}
                <Address of={it} />
              </MemoryRouter>
            </QueryClientProvider>
          </MantineProvider>,
        ),
      );
    },
    show: async (part, at) => {
      it.draw(part, at);
      await it.settle();
    },
    settle: async () => {
      // What is drawn of an answer may ask for more: it is at rest when it was twice in a row.
      for (let rested = 0; rested < 2;) {
        rested = it.client.isFetching() + it.client.isMutating() === 0 ? rested + 1 : 0;
        await act(() => new Promise<void>((resolve) => setTimeout(resolve, 1)));
      }
    },
    leave: () => {
      act(() => root?.unmount());
      root = undefined;
    },
  };
  beforeEach(() => {
    stubBrowser();
    vi.stubGlobal('fetch', async (request: Request) => {
      const url = new URL(request.url);
      it.asked.push(url);
      return (await answer(url, request)) ?? Response.json({ items: [], next: null });
    });
    it.host = document.createElement('div');
    document.body.append(it.host);
    it.client = makeClient();
    if (role) it.client.setQueryData(['session'], { role });
    it.asked = [];
  });
  afterEach(() => {
    it.leave();
    it.host.remove();
    unstubBrowser();
  });
  return it;
}

function Address({ of }: { of: Stage }) {
  const navigate = useNavigate();
  const { pathname, search } = useLocation();
  useEffect(() => {
    Object.assign(of, { address: pathname + search, back: () => void navigate(-1) });
  });
  return null;
}

/** For one test; `unstubBrowser` takes it away. */
export function stubBrowser(): void {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
  Object.defineProperty(document, 'fonts', { configurable: true, value: new EventTarget() });
}

/** Takes away all globals that a test has put there, and what is no global. */
export function unstubBrowser(): void {
  vi.unstubAllGlobals();
  Reflect.deleteProperty(document, 'fonts');
}
