// What became of an alert: its actions, what policies said, and who decided and wrote what.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { Alert } from '../../api/types';
import { ActionStateTag, Loading, Panel, Time, Trouble } from '../../parts/basics';
import { byWhom, doing } from '../../parts/words';
import { useMay } from '../../shell/session';
import { CommentForm } from './CommentForm';
import { HISTORY_WORDS, useForgotten } from './deciding';
import { happenings } from './history';

export function WhatWasDone({ alert }: { alert: Alert }) {
  const mayComment = useMay('analyst');
  const forgotten = useForgotten()(alert);
  // Actions of an alert come after it, so both are read again when it changes.
  const actions = useQuery({
    queryKey: ['actions', { alert: alert.id, updated: alert.updated_ms }],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/actions', { params: { query: { alert: alert.id, limit: 50 } }, signal })),
    placeholderData: (before) => before,
  });
  const audit = useQuery({
    queryKey: ['audit', alert.id, alert.updated_ms, alert.state],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/audit', { params: { query: { log: 'decisions', subject: alert.id, limit: 50 } }, signal })),
    placeholderData: (before) => before,
  });
  const items = actions.data?.items ?? [];
  const known = new Set(items.map((action) => action.id));
  const unknown = alert.actions.filter((id) => !known.has(id));
  return (
    <>
      <Panel title="What was done">
        <div className="stack">
          {actions.error && <Trouble error={actions.error} />}
          {actions.isPending && <Loading lines={2} />}
          {items.map((action) => (
            <div key={action.id} className="stack" style={{ gap: 4 }}>
              <div className="row">
                <Link to={`/responses/${action.id}`}>{doing(action.kind)}</Link>
                <ActionStateTag state={action.state} />
              </div>
              <span className="muted">
                <Time ms={action.created_ms} /> by{' '}
                {action.origin.kind === 'policy' ? `the policy ${action.origin.name}` : byWhom(action.origin.name)}
              </span>
              {action.state_reason && <span className="faint wrap">{action.state_reason}</span>}
            </div>
          ))}
          {unknown.length > 0 && actions.data && !actions.isPlaceholderData && (
            <span className="faint">{unknown.length} more that outrider has forgotten for their age</span>
          )}
          {actions.data && items.length === 0 && <p className="muted">No action came from this alert.</p>}
          {alert.policy_notes.length > 0 && (
            <ul className="muted wrap" style={{ margin: 0, paddingLeft: 18 }}>
              {alert.policy_notes.map((note) => (
                <li key={note}>{note}</li>
              ))}
            </ul>
          )}
        </div>
      </Panel>
      <Panel title="History">
        {mayComment &&
          (forgotten ? (
            <p className="muted" style={{ marginBottom: 16 }}>
              {HISTORY_WORDS}
            </p>
          ) : (
            <CommentForm alert={alert} />
          ))}
        {audit.error && <Trouble error={audit.error} />}
        <ol className="steps">
          {happenings(audit.data?.items ?? [], alert.comments).map(({ key, at, by, what, words }) => (
            <li key={key} className={by.startsWith('person:') ? 'is-person' : ''}>
              <div className="wrap">
                <strong>{byWhom(by)}</strong> {what}{' '}
                {what ? <span className="muted">{words}</span> : <p className="comment">{words}</p>}
                <div className="faint">
                  <Time ms={at} />
                </div>
              </div>
            </li>
          ))}
          <li>
            <div>
              Opened by outrider
              <div className="faint">
                <Time ms={alert.opened_ms} />
              </div>
            </div>
          </li>
        </ol>
      </Panel>
    </>
  );
}
