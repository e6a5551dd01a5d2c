// All policies, each as a sentence.
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import { Command, Empty, Loading, Page, Panel, Time, Trouble } from '../../parts/basics';
import { useGuardRails } from '../../parts/neverBlock';
import { share } from '../../parts/words';
import { useMay } from '../../shell/session';
import { sentence } from './sentence';

function usePolicies() {
  return useQuery({ queryKey: ['policies'], queryFn: ({ signal }) => got(api.GET('/api/v1/policies', { signal })) });
}

export default function PoliciesPage() {
  const policies = usePolicies();
  const mayChange = useMay('responder');
  const rows = policies.data?.items ?? [];
  return (
    <Page
      title="Policies"
      after={
        <>
          <div className="spread" />
          {mayChange && (
            <Button size="xs" component={Link} to="/policies/new">
              New policy
            </Button>
          )}
        </>
      }
    >
      <div className="stack" style={{ gap: 16 }}>
        {policies.error && <Trouble error={policies.error} again={() => void policies.refetch()} />}
        {policies.isPending && <Loading />}
        {policies.data && rows.length === 0 && (
          <div className="panel">
            <Empty title="No policies yet.">
              <p>
                Without one, alerts are raised and nothing is done by itself. A new policy only observes, until you say
                “enforce”. {mayChange ? '' : 'A responder or admin can make one.'}
              </p>
              <p>In the configuration a policy looks like this:</p>
              <Command>
                {
                  '[[policies]]\nname = "block-request-spikes"\nwhen = { detectors = ["request_spike"], severity_min = "high" }\nrespond = { kind = "block" }\nduration = "15m"\nmode = "observe"'
                }
              </Command>
            </Empty>
          </div>
        )}
        {rows.length > 0 && (
          <section className="panel" aria-label="Policies">
            <ul className="plain">
              {rows.map(({ policy, from_config, changed_by, changed_ms }) => (
                <li key={policy.name} className="fire">
                  <span
                    className={`tag ${!policy.enabled ? '' : policy.mode === 'enforce' ? 'danger' : 'accent'}`}
                    style={{ width: 74, justifyContent: 'center' }}
                  >
                    {!policy.enabled ? 'Off' : policy.mode === 'enforce' ? 'Enforces' : 'Observes'}
                  </span>
                  <div className="spread">
                    <Link to={`/policies/${encodeURIComponent(policy.name)}`} className="fire-title">
                      <span className="cut">{policy.name}</span>
                    </Link>
                    <p className="wrap">{sentence(policy)}</p>
                    {policy.description && <p className="muted wrap">{policy.description}</p>}
                  </div>
                  <span className="faint" title={`by ${changed_by}`}>
                    {from_config ? 'configuration' : 'changed'} <Time ms={changed_ms} relative />
                  </span>
                </li>
              ))}
            </ul>
          </section>
        )}
        <GuardRails />
      </div>
    </Page>
  );
}

function GuardRails() {
  const rails = useGuardRails();
  if (!rails.data) return null;
  const {
    never_block,
    active_actions_max,
    actions_per_hour_max,
    target_calls_share_max,
    calls_min,
    target_addresses_share_max,
    addresses_min,
  } = rails.data;
  return (
    <Panel title="Guard rails" after={<span className="faint">from the configuration: [guard_rails]</span>}>
      <dl className="facts">
        <dt>Never blocked</dt>
        <dd>{never_block.length === 0 ? 'nobody is listed' : never_block.join(', ')}</dd>
        <dt>At one time</dt>
        <dd>{active_actions_max} automatic actions at most</dd>
        <dt>In an hour</dt>
        <dd>{actions_per_hour_max} at most</dd>
        <dt>Large consumers</dt>
        <dd>
          who makes more than {share(target_calls_share_max)} of the last hour’s calls (of {calls_min} or more) or uses
          more than {share(target_addresses_share_max)} of its addresses (of {addresses_min} or more) is only proposed
        </dd>
      </dl>
    </Panel>
  );
}
