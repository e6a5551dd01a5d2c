// The page for three in the morning: is everything flowing, what is on fire, what is blocked, what is wrong with outrider.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';

import type { Action, Alert, Notice } from '../../api/types';
import { nowActions, nowAlerts, nowNotices, useStatus } from '../../live/now';
import {
  ActionStateTag,
  Empty,
  EntityLink,
  Loading,
  Page,
  Panel,
  SeverityTag,
  Time,
  Trouble,
} from '../../parts/basics';
import { detectorName, doing, scopeWords } from '../../parts/words';
import { useMay } from '../../shell/session';
import { Flow } from './Flow';
import { SteadyList } from './SteadyList';
import { Traffic } from './Traffic';

export function OverviewPage() {
  const status = useStatus();
  return (
    <Page title="Overview">
      <div className="stack" style={{ gap: 16 }}>
        {status.error && <Trouble error={status.error} again={() => void status.refetch()} />}
        <Flow status={status.data} />
        {/* What the flow says decides how tall it is; nothing below it is there before, and would move. */}
        {!status.isPending && (
          <>
            <div className="overview">
              <OnFire />
              <Blocked />
            </div>
            <Traffic />
            <Notices />
          </>
        )}
      </div>
    </Page>
  );
}

const WORST: Record<Alert['severity'], number> = { critical: 4, high: 3, medium: 2, low: 1, info: 0 };

/** How many rows a list on this page has; the rest is on its own page. */
const ROWS_MAX = 7;

function OnFire() {
  const alerts = useQuery(nowAlerts);
  const items = [...(alerts.data?.items ?? [])].sort(
    (a, b) => WORST[b.severity] - WORST[a.severity] || b.last_finding_ms - a.last_finding_ms,
  );
  return (
    <Panel title="On fire" flush after={<Link to="/alerts?state=open">All open alerts</Link>}>
      {alerts.isPending && <Waiting />}
      {alerts.error && <Trouble error={alerts.error} />}
      <SteadyList
        rows={items}
        most={ROWS_MAX}
        empty={
          alerts.data && (
            <Empty title="No open alerts.">
              <p>outrider tells you here, without a reload, when somebody does what is not normal for them.</p>
            </Empty>
          )
        }
      >
        {(alert) => (
          <li className="fire">
            <SeverityTag severity={alert.severity} />
            <div className="spread">
              <Link to={`/alerts/${alert.id}`} className="fire-title">
                <span className="cut">
                  {detectorName(alert.detector)} · {alert.entity.label || alert.entity.value}
                </span>
              </Link>
              <div className="muted cut" title={alert.sentence}>
                {alert.sentence}
              </div>
            </div>
            <span className="faint">
              <Time ms={alert.last_finding_ms} relative />
            </span>
          </li>
        )}
      </SteadyList>
    </Panel>
  );
}

function Blocked() {
  const mayAct = useMay('responder');
  const actions = useQuery(nowActions);
  const items = actions.data?.items ?? [];
  // What waits for a person comes first.
  const order = (action: Action) => (action.state === 'proposed' ? 0 : 1);
  const sorted = [...items].sort((a, b) => order(a) - order(b));
  return (
    <Panel title="Blocked or limited" flush after={<Link to="/responses">All responses</Link>}>
      {actions.isPending && <Waiting />}
      {actions.error && <Trouble error={actions.error} />}
      <SteadyList
        rows={sorted}
        most={ROWS_MAX}
        empty={
          actions.data && (
            <Empty title="Nobody is blocked.">
              <p>
                A <Link to="/policies">policy</Link> in the mode “enforce” blocks by itself
                {mayAct
                  ? '; an alert’s page has “Block now”.'
                  : '; whoever has the role responder does from an alert’s page.'}
              </p>
            </Empty>
          )
        }
      >
        {(action) => (
          <li className="fire">
            <ActionStateTag state={action.state} />
            <div className="spread">
              <div className="row">
                <EntityLink entity={action.target} />
              </div>
              <Link to={`/responses/${action.id}`} className="muted cut" style={{ display: 'block' }}>
                {doing(action.kind)} · {scopeWords(action.scope)}
              </Link>
            </div>
            <span className="faint">{action.expires_ms ? <Time ms={action.expires_ms} relative /> : 'no end'}</span>
          </li>
        )}
      </SteadyList>
    </Panel>
  );
}

function Notices() {
  const notices = useQuery(nowNotices);
  const items = notices.data?.items ?? [];
  return (
    <Panel title="outrider itself" flush after={<Link to="/settings/health">Health</Link>}>
      {notices.error && <Trouble error={notices.error} />}
      {notices.data && items.length === 0 && (
        <p className="muted all-well">
          <strong className="ok">All well.</strong> Silent gateways, lost calls and whatever else goes wrong with the
          operation is listed here, with what to do.
        </p>
      )}
      <ul className="plain">
        {items.map((notice) => (
          <NoticeRow key={notice.id} notice={notice} />
        ))}
      </ul>
    </Panel>
  );
}

export function NoticeRow({ notice }: { notice: Notice }) {
  return (
    <li className="notice">
      <div className="row wraps">
        <span className={`tag dot ${notice.closed_ms ? 'good' : 'warning'}`}>{notice.kind.replaceAll('_', ' ')}</span>
        <strong className="wrap">{notice.subject}</strong>
        <span className="faint">
          since <Time ms={notice.since_ms} />
          {notice.closed_ms && (
            <>
              , until <Time ms={notice.closed_ms} />
            </>
          )}
        </span>
      </div>
      <p className="wrap">{notice.detail}</p>
      <p className="muted wrap">{notice.remedy}</p>
    </li>
  );
}

function Waiting() {
  return (
    <div style={{ padding: 16 }}>
      <Loading />
    </div>
  );
}
