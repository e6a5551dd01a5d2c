// What stands around every page: where one can go, whether everything is live, and who is signed in.
import { ActionIcon, Button, Menu, useMantineColorScheme } from '@mantine/core';
import {
  IconActivity,
  IconBellRinging,
  IconGauge,
  IconHandStop,
  IconKeyboard,
  IconLogout,
  IconMoon,
  IconRoute,
  IconScript,
  IconSearch,
  IconSettings,
  IconShieldHalf,
  IconShieldSearch,
  IconSun,
  IconSunMoon,
  IconUser,
} from '@tabler/icons-react';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { NavLink, Outlet, useLocation, useNavigate } from 'react-router';

import { api, got } from '../api/client';
import type { Me } from '../api/types';
import { ErrorBoundary } from './ErrorBoundary';
import { type Connection, follow } from '../live/follow';
import { nowActions, nowAlerts, useKillSwitch } from '../live/now';
import { Time } from '../parts/basics';
import { useKeys } from './keys';
import { Live } from './Live';
import { Mark } from './Mark';
import { Palette } from './Palette';
import { KeyHelp } from './KeyHelp';

const PLACES: { to: string; name: string; icon: typeof IconGauge; count?: 'alerts' | 'actions' }[] = [
  { to: '/', name: 'Overview', icon: IconGauge },
  { to: '/alerts', name: 'Alerts', icon: IconBellRinging, count: 'alerts' },
  { to: '/timeline', name: 'Timeline', icon: IconActivity },
  { to: '/responses', name: 'Responses', icon: IconHandStop, count: 'actions' },
  { to: '/policies', name: 'Policies', icon: IconShieldHalf },
  { to: '/apis', name: 'APIs', icon: IconRoute },
  { to: '/posture', name: 'Posture', icon: IconShieldSearch },
  { to: '/hunt', name: 'Hunt', icon: IconScript },
  { to: '/settings', name: 'Settings', icon: IconSettings },
];

export function Shell({ me }: { me: Me }) {
  const client = useQueryClient();
  const { pathname } = useLocation();
  const [connection, setConnection] = useState<Connection>('connecting');
  const [isPaletteOpen, setPaletteOpen] = useState(false);
  const [isHelpOpen, setHelpOpen] = useState(false);
  useEffect(() => follow(client, setConnection), [client]);
  useKeys({ palette: () => setPaletteOpen(true), help: () => setHelpOpen(true) });
  const alerts = useQuery(nowAlerts);
  const actions = useQuery(nowActions);
  const counts = { alerts: alerts.data, actions: actions.data };
  return (
    <div className="shell">
      <nav className="nav" aria-label="Main">
        <NavLink to="/" className="brand" aria-label="outrider, overview">
          <Mark />
          <span className="nav-name">outrider</span>
        </NavLink>
        <button type="button" className="nav-search" onClick={() => setPaletteOpen(true)}>
          <IconSearch size={15} />
          <span className="nav-name">Go to…</span>
          <kbd className="nav-name">Ctrl K</kbd>
        </button>
        <ul>
          {PLACES.map(({ to, name, icon: Icon, count }) => {
            const page = count && counts[count];
            return (
              <li key={to}>
                <NavLink to={to} end={to === '/'} className="nav-link" title={name}>
                  <Icon size={17} stroke={1.7} aria-hidden="true" />
                  <span className="nav-name">{name}</span>
                  {page && page.items.length > 0 && (
                    <span className={`nav-count ${count === 'alerts' ? 'is-bad' : ''}`}>
                      {page.items.length}
                      {page.next ? '+' : ''}
                    </span>
                  )}
                </NavLink>
              </li>
            );
          })}
        </ul>
        <div className="spread" />
        <Live connection={connection} />
        <Person me={me} help={() => setHelpOpen(true)} />
      </nav>
      <div className="main">
        <Banners connection={connection} />
        <main className="main-page">
          <ErrorBoundary path={pathname}>
            <Outlet />
          </ErrorBoundary>
        </main>
      </div>
      <Palette open={isPaletteOpen} close={() => setPaletteOpen(false)} />
      <KeyHelp open={isHelpOpen} close={() => setHelpOpen(false)} />
    </div>
  );
}

function Person({ me, help }: { me: Me; help: () => void }) {
  const navigate = useNavigate();
  // Without transitions it would write a style into the page, which the Content-Security-Policy forbids.
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  const name = me.person?.display_name || me.person?.name || me.by;
  const next = { auto: 'light', light: 'dark', dark: 'auto' } as const;
  const icons = { auto: IconSunMoon, light: IconSun, dark: IconMoon };
  const ThemeIcon = icons[colorScheme];
  const signOut = async () => {
    await got(api.DELETE('/api/v1/session'));
    // A page that knows nothing of who was here.
    location.assign('/');
  };
  return (
    <div className="person">
      <Menu position="top-start" width={220}>
        <Menu.Target>
          <button type="button" className="nav-link person-button" title={`Signed in as ${name}`}>
            <IconUser size={17} stroke={1.7} />
            <span className="nav-name who">
              <span className="cut">{name}</span>
              <span className="faint">{me.role}</span>
            </span>
          </button>
        </Menu.Target>
        <Menu.Dropdown>
          {me.person && (
            <Menu.Label>
              Session ends <Time ms={me.person.session_ends_ms} />
            </Menu.Label>
          )}
          <Menu.Item leftSection={<IconUser size={15} />} onClick={() => void navigate('/settings/you')}>
            Your password
          </Menu.Item>
          <Menu.Item leftSection={<IconKeyboard size={15} />} onClick={help}>
            Keyboard
          </Menu.Item>
          <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => void signOut()}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={`Theme: ${colorScheme}; change to ${next[colorScheme]}`}
        title={`Theme: ${colorScheme === 'auto' ? 'as the system' : colorScheme}`}
        onClick={() => setColorScheme(next[colorScheme])}
      >
        <ThemeIcon size={16} />
      </ActionIcon>
    </div>
  );
}

function Banners({ connection }: { connection: Connection }) {
  const kill = useKillSwitch();
  const navigate = useNavigate();
  return (
    <>
      {kill.data?.on && (
        <div className="banner danger" role="status">
          <strong>The kill switch is on.</strong>
          <span className="cut spread">
            No automatic action is taken. {kill.data.by}: {kill.data.reason}
          </span>
          <Button size="compact-xs" variant="default" onClick={() => void navigate('/responses')}>
            Responses
          </Button>
        </div>
      )}
      {/* It comes and goes by itself, and the page below stays where it is. */}
      <div className="banner-over">
        {connection === 'away' && (
          <div className="banner warning" role="status">
            <strong>outrider does not answer.</strong> What you see may be old. This page connects again by itself.
          </div>
        )}
      </div>
    </>
  );
}
