// How outrider is set up and how it does, who may do what, and who did what.
import { lazy, Suspense } from 'react';
import { NavLink, useParams } from 'react-router';

import type { Role } from '../../api/types';
import { may } from '../../api/types';
import { Empty, Loading, Page } from '../../parts/basics';
import { useSession } from '../../shell/session';
import { Health } from './Health';

const Gateways = lazy(() => import('./Gateways'));
const People = lazy(() => import('./People'));
const Tokens = lazy(() => import('./Tokens'));
const Services = lazy(() => import('./Services'));
const Audit = lazy(() => import('./Audit'));
const Messages = lazy(() => import('./Messages'));
const Erasures = lazy(() => import('./Erasures'));
const You = lazy(() => import('./You'));

const SECTIONS: { id: string; name: string; least: Role; page: () => React.ReactNode; full?: boolean }[] = [
  { id: 'health', name: 'Health', least: 'viewer', page: () => <Health /> },
  { id: 'gateways', name: 'Gateways', least: 'viewer', page: () => <Gateways /> },
  { id: 'audit', name: 'Audit log', least: 'viewer', page: () => <Audit />, full: true },
  { id: 'messages', name: 'Messages', least: 'viewer', page: () => <Messages />, full: true },
  { id: 'people', name: 'People', least: 'admin', page: () => <People /> },
  { id: 'tokens', name: 'Tokens', least: 'admin', page: () => <Tokens /> },
  { id: 'services', name: 'Services', least: 'admin', page: () => <Services /> },
  { id: 'erasures', name: 'Erasures', least: 'admin', page: () => <Erasures /> },
  { id: 'you', name: 'You', least: 'viewer', page: () => <You /> },
];

export default function SettingsPage() {
  const { section } = useParams();
  const role = useSession().data?.role;
  const sections = SECTIONS.filter((one) => may(role, one.least));
  const chosen = sections.find((one) => one.id === section);
  const isKnown = SECTIONS.some((one) => one.id === section);
  return (
    <Page
      title="Settings"
      full={chosen?.full}
      after={
        <nav className="tabs" aria-label="Settings">
          {sections.map((one) => (
            <NavLink key={one.id} to={`/settings/${one.id}`}>
              {one.name}
            </NavLink>
          ))}
        </nav>
      }
    >
      {chosen ? (
        <Suspense fallback={<Loading />}>{chosen.page()}</Suspense>
      ) : (
        <Empty title={isKnown ? 'This is for admins.' : 'There is no such page.'}>
          {isKnown && <p>Your role is {role}. An admin can give you another one.</p>}
        </Empty>
      )}
    </Page>
  );
}
