// One action: whom it restricts, why, what became of it step by step, and what it does not cover.
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';

import { api, got } from '../../api/client';
import { ActionStateTag, EntityLink, type Fact, Facts, Page, Panel, Time, Waiting } from '../../parts/basics';
import { ACTION_STATE_WORDS, byWhom, doing, endOf, scopeWords } from '../../parts/words';
import { ActionDecisions } from './decisions';

const LOOKS: Record<string, string> = { in_force: 'is-danger', stored: 'is-danger', released: 'is-good' };

export default function ActionPage() {
  const { id = '' } = useParams();
  const found = useQuery({
    queryKey: ['action', id],
    queryFn: ({ signal }) => got(api.GET('/api/v1/actions/{id}', { params: { path: { id } }, signal })),
  });
  const action = found.data;
  if (!action) {
    return <Waiting title="Action" of={found} />;
  }
  const facts: Fact[] = [
    ['Whom', <EntityLink key="e" entity={action.target} />],
    ['Id', <code key="i">{action.target.value}</code>],
    ['Gateway', action.target.gateway],
    ['Where', scopeWords(action.scope)],
    ['Answer', action.kind.message],
    [
      'Asked by',
      action.origin.kind === 'policy' ? (
        <Link key="p" to={`/policies/${encodeURIComponent(action.origin.name)}`}>
          policy {action.origin.name}
        </Link>
      ) : (
        byWhom(action.origin.name)
      ),
    ],
    [
      'Alert',
      action.alert ? (
        <Link key="a" to={`/alerts/${action.alert}`}>
          {action.alert}
        </Link>
      ) : (
        'none'
      ),
    ],
    ['Since', <Time key="s" ms={action.created_ms} />],
    ['Until', endOf(action) ? <Time key="u" ms={endOf(action)} /> : 'somebody releases it'],
  ];
  return (
    <Page
      title={`${doing(action.kind)} · ${action.target.label || action.target.value}`}
      under={{ to: '/responses', name: 'Responses' }}
      after={
        <>
          <ActionStateTag state={action.state} />
          <div className="spread" />
          <ActionDecisions action={action} size="xs" />
        </>
      }
    >
      <div className="alert">
        <div className="stack">
          <p className="story">{action.reason}</p>
          <Panel title="What became of it">
            <ol className="steps">
              {action.history.map((step) => (
                <li key={`${step.at_ms} ${step.state}`} className={LOOKS[step.state] ?? ''}>
                  <div className="wrap">
                    <strong>{ACTION_STATE_WORDS[step.state]}</strong> <span className="muted">{step.reason}</span>
                    <div className="faint">
                      <Time ms={step.at_ms} />
                    </div>
                  </div>
                </li>
              ))}
            </ol>
          </Panel>
          {action.not_covered.length > 0 && (
            <Panel title="What it does not cover">
              <ul className="wrap" style={{ margin: 0, paddingLeft: 18 }}>
                {action.not_covered.map((place) => (
                  <li key={place}>{place}</li>
                ))}
              </ul>
            </Panel>
          )}
        </div>
        <div className="stack">
          <Panel title="Whom and what">
            <Facts facts={facts} />
          </Panel>
        </div>
      </div>
    </Page>
  );
}
