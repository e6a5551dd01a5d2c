// The console: who is signed in decides whether there are pages, and the address decides which.
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider, useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Navigate, Route, Routes } from 'react-router';

import { onSignedOut, Refusal } from './api/client';
import { Empty, Loading, Page, Trouble } from './parts/basics';
import { OverviewPage } from './pages/overview/OverviewPage';
import { AtOnce } from './shell/AtOnce';
import { useSession } from './shell/session';
import { Shell } from './shell/Shell';
import { SignIn } from './shell/SignIn';

// What one looks at first comes with the first file, the rest soon after, so that pages open even while outrider is away.
const later = {
  alerts: () => import('./pages/alerts/AlertsPage'),
  alert: () => import('./pages/alerts/AlertPage'),
  timeline: () => import('./pages/timeline/TimelinePage'),
  responses: () => import('./pages/responses/ResponsesPage'),
  action: () => import('./pages/responses/ActionPage'),
  policies: () => import('./pages/policies/PoliciesPage'),
  policy: () => import('./pages/policies/PolicyPage'),
  apis: () => import('./pages/apis/ApisPage'),
  services: () => import('./pages/apis/ServicesPage'),
  service: () => import('./pages/apis/ServicePage'),
  endpoint: () => import('./pages/apis/EndpointPage'),
  posture: () => import('./pages/posture/PosturePages'),
  hunt: () => import('./pages/hunt/HuntPage'),
  settings: () => import('./pages/settings/SettingsPage'),
};
const AlertsPage = lazy(later.alerts);
const AlertPage = lazy(later.alert);
const TimelinePage = lazy(later.timeline);
const ResponsesPage = lazy(later.responses);
const ActionPage = lazy(later.action);
const PoliciesPage = lazy(later.policies);
const PolicyPage = lazy(later.policy);
const ApisPage = lazy(later.apis);
const ServicesPage = lazy(later.services);
const ServicePage = lazy(later.service);
const EndpointPage = lazy(later.endpoint);
const PosturePages = lazy(later.posture);
const HuntPage = lazy(later.hunt);
const SettingsPage = lazy(later.settings);
const LATER_MS = 1500;

function loadLater() {
  for (const load of Object.values(later)) load().catch(() => undefined);
}

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // A refusal is an answer. Only an outrider that is away is asked again.
      retry: (times, error) => error instanceof Refusal && (error.status === 0 || error.status >= 502) && times < 3,
      refetchOnWindowFocus: true,
    },
    mutations: { retry: false },
  },
});

export function App() {
  return (
    <MantineProvider
      defaultColorScheme="auto"
      withCssVariables={false}
      withGlobalClasses={false}
      theme={{ cursorType: 'pointer', defaultRadius: 'sm' }}
    >
      <QueryClientProvider client={client}>
        <AtOnce>
          <Door />
        </AtOnce>
      </QueryClientProvider>
    </MantineProvider>
  );
}

/** Pages for who is signed in; for others a way in. The address stays, so that they are where they wanted to go. */
function Door() {
  const client = useQueryClient();
  const session = useSession();
  useEffect(() => onSignedOut(() => client.setQueryData(['session'], null)), [client]);
  const me = session.data;
  const [wasSignedIn, setWasSignedIn] = useState(false);
  if (me && !wasSignedIn) setWasSignedIn(true);
  const isSignedIn = Boolean(me);
  useEffect(() => {
    if (!isSignedIn) return undefined;
    const timer = setTimeout(loadLater, LATER_MS);
    return () => clearTimeout(timer);
  }, [isSignedIn]);
  if (session.isPending) return null;
  if (session.error) {
    return (
      <main className="sign-in">
        <Trouble error={session.error} again={() => void session.refetch()} />
      </main>
    );
  }
  if (!me) return <SignIn wasSignedIn={wasSignedIn} />;
  return (
    <Routes>
      <Route element={<Shell me={me} />}>
        <Route index element={<OverviewPage />} />
        <Route path="alerts" element={<Later page={<AlertsPage />} />} />
        <Route path="alerts/:id" element={<Later page={<AlertPage />} />} />
        <Route path="timeline" element={<Later page={<TimelinePage />} />} />
        <Route path="responses" element={<Later page={<ResponsesPage />} />} />
        <Route path="responses/:id" element={<Later page={<ActionPage />} />} />
        <Route path="policies" element={<Later page={<PoliciesPage />} />} />
        <Route path="policies/new" element={<Later page={<PolicyPage />} />} />
        <Route path="policies/:name" element={<Later page={<PolicyPage />} />} />
        <Route path="apis" element={<Later page={<ApisPage />} />} />
        <Route path="apis/services" element={<Later page={<ServicesPage />} />} />
        <Route path="apis/service" element={<Later page={<ServicePage />} />} />
        <Route path="apis/:id" element={<Later page={<EndpointPage />} />} />
        <Route path="posture/*" element={<Later page={<PosturePages />} />} />
        <Route path="hunt/*" element={<Later page={<HuntPage />} />} />
        <Route path="settings" element={<Navigate to="/settings/health" replace />} />
        <Route path="settings/:section" element={<Later page={<SettingsPage />} />} />
        <Route path="*" element={<Nothing />} />
      </Route>
    </Routes>
  );
}

function Later({ page }: { page: React.ReactNode }) {
  return (
    <Suspense
      fallback={
        <Page title="">
          <Loading />
        </Page>
      }
    >
      {page}
    </Suspense>
  );
}

function Nothing() {
  return (
    <Page title="Nothing here">
      <Empty title="There is no such page.">
        <p>The address may be mistyped. Ctrl K goes anywhere.</p>
      </Empty>
    </Page>
  );
}
