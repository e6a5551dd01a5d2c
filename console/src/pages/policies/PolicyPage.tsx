// One policy, as a form that reads like a sentence, and what it would have been about.
import { Button, Select, Switch, TagsInput, Textarea } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { Link, useNavigate, useParams } from 'react-router';

import { api, got, once } from '../../api/client';
import { type Alert, type Condition, type Policy, type PolicyRow, SEVERITIES } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Loading, Page, Panel, Time, Trouble } from '../../parts/basics';
import { ReasonDialog } from '../../parts/Dialog';
import { Named } from '../../parts/Named';
import { NumberField } from '../../parts/NumberField';
import { freeName, NameTaken, saveNew, troubleWithName, wasFound } from '../../parts/naming';
import { byWhom } from '../../parts/words';
import { useMay } from '../../shell/session';
import { DURATIONS } from './durations';
import { Respond } from './Respond';
import { NEW_POLICY, SCOPE_WORDS, sentence } from './sentence';
import { useDetectors, useServices } from './suggestions';
import { WouldHave } from './WouldHave';

export default function PolicyPage() {
  const { name } = useParams();
  const [query] = useAddress();
  const alertId = query.get('alert');
  const known = useQuery({
    queryKey: ['policies', name],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/policies/{name}', { params: { path: { name: name ?? '' } }, signal })),
    enabled: name !== undefined,
    // What somebody types is not replaced by what somebody else saves.
    refetchOnWindowFocus: false,
  });
  const alert = useQuery({
    queryKey: ['alert', alertId],
    queryFn: ({ signal }) => got(api.GET('/api/v1/alerts/{id}', { params: { path: { id: alertId ?? '' } }, signal })),
    enabled: alertId !== null,
  });
  const proposed = alert.data && `block-${alert.data.detector.replace(/[^a-z0-9]+/g, '-')}`;
  const free = useQuery({
    queryKey: ['free policy name', alertId],
    queryFn: () => freeName(proposed ?? '', isPolicy),
    enabled: proposed !== undefined,
    // By the next time it may be taken.
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
  const error = known.error ?? alert.error ?? free.error;
  if (error) {
    return (
      <Page title="Policy">
        <Trouble error={error} />
      </Page>
    );
  }
  if ((name !== undefined && !known.data) || (alertId !== null && free.data === undefined)) {
    return (
      <Page title="Policy">
        <Loading lines={8} />
      </Page>
    );
  }
  return (
    <PolicyForm
      key={name ?? alertId ?? ''}
      row={known.data}
      begin={known.data?.policy ?? fromAlert(alert.data, free.data)}
    />
  );
}

/** Whether there is a policy of that name, in the configuration or by a person. */
function isPolicy(name: string): Promise<boolean> {
  return wasFound(got(api.GET('/api/v1/policies/{name}', { params: { path: { name } } })));
}

/** What one would begin with who does not want an alert like this one again. */
function fromAlert(alert: Alert | undefined, name = ''): Policy {
  if (!alert) return NEW_POLICY;
  const { detector, severity, worst } = alert;
  const services = worst.service_name ? [worst.service_name] : [];
  return { ...NEW_POLICY, name, when: { ...NEW_POLICY.when, detectors: [detector], severity_min: severity, services } };
}

function PolicyForm({ row, begin }: { row?: PolicyRow; begin: Policy }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  // What the configuration says is changed there and nowhere else.
  const mayChange = useMay('responder') && !row?.from_config;
  const [policy, setPolicy] = useState(begin);
  const [isDeleting, setDeleting] = useState(false);
  const set = (part: Partial<Policy>) => setPolicy((before) => ({ ...before, ...part }));
  const setWhen = (part: Partial<Condition>) =>
    setPolicy((before) => ({ ...before, when: { ...before.when, ...part } }));
  const detectors = useDetectors();
  const services = useServices();
  const saving = useMutation({
    mutationFn: () => {
      const params = { path: { name: policy.name } };
      const save = (headers = {}) =>
        got(api.PUT('/api/v1/policies/{name}', { params, body: policy, headers: { ...once(), ...headers } }));
      return row ? save() : saveNew(policy.name, isPolicy, save);
    },
    onSuccess: async () => {
      await client.invalidateQueries({ queryKey: ['policies'] });
      await navigate('/policies');
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    saving.mutate();
  };
  return (
    <Page
      title={row ? policy.name : 'New policy'}
      under={{ to: '/policies', name: 'Policies' }}
      after={
        row && (
          <span className="faint">
            {row.from_config ? 'from the configuration' : `by ${byWhom(row.changed_by)}`},{' '}
            <Time ms={row.changed_ms} relative />
          </span>
        )
      }
    >
      <form className="alert" onSubmit={submit}>
        <fieldset className="stack policy-fields" disabled={!mayChange}>
          {row?.from_config && (
            <p className="muted">
              This policy comes from the configuration file, and is changed there: outrider takes a new one over with a
              reload, without a restart.
            </p>
          )}
          <Named
            name={policy.name}
            description={policy.description}
            shown="for whoever reads it later"
            isSaved={row !== undefined}
            trouble={troubleWithName(saving.error, policy.name)}
            set={set}
          />
          <Panel title="When">
            <div className="policy-sentence">
              <span>When</span>
              <TagsInput
                aria-label="Detectors"
                size="sm"
                placeholder={policy.when.detectors.length === 0 ? 'any detector' : ''}
                data={detectors}
                value={policy.when.detectors}
                onChange={(chosen) => setWhen({ detectors: chosen })}
              />
              <span>finds something</span>
              <Select
                aria-label="Least severity"
                size="sm"
                w={210}
                value={policy.when.severity_min ?? 'any'}
                data={[
                  { value: 'any', label: 'of any severity' },
                  ...SEVERITIES.slice(1).map((one) => ({
                    value: one,
                    label: one === 'critical' ? 'critical' : `of severity ${one} or worse`,
                  })),
                ]}
                allowDeselect={false}
                onChange={(value) => setWhen({ severity_min: value === 'any' ? null : value })}
              />
              <span>about</span>
              <TagsInput
                aria-label="Consumers"
                size="sm"
                placeholder={policy.when.consumers.length === 0 ? 'any consumer' : ''}
                value={policy.when.consumers}
                onChange={(chosen) => setWhen({ consumers: chosen })}
              />
              <span>at</span>
              <TagsInput
                aria-label="Services"
                size="sm"
                placeholder={policy.when.services.length === 0 ? 'any service' : ''}
                data={services}
                value={policy.when.services}
                onChange={(chosen) => setWhen({ services: chosen })}
              />
            </div>
            <details className="policy-more">
              <summary>More conditions</summary>
              <div className="stack">
                <NumberField
                  label="Confidence, at least"
                  rightSection="%"
                  min={0}
                  max={100}
                  w={160}
                  value={policy.when.confidence_min === null ? null : Math.round(policy.when.confidence_min * 100)}
                  change={(value) => setWhen({ confidence_min: value === null ? null : value / 100 })}
                />
                <TagsInput
                  label="One of these consumer tags"
                  value={policy.when.consumer_tags}
                  onChange={(chosen) => setWhen({ consumer_tags: chosen })}
                />
                <TagsInput
                  label="Routes"
                  value={policy.when.routes}
                  onChange={(chosen) => setWhen({ routes: chosen })}
                />
                <TagsInput
                  label="Endpoints"
                  description="an id, or such as GET /orders/{order_id}"
                  value={policy.when.endpoints}
                  onChange={(chosen) => setWhen({ endpoints: chosen })}
                />
                <TagsInput
                  label="Never these consumers"
                  description="names, ids, or tag:NAME"
                  value={policy.when.except_consumers}
                  onChange={(chosen) => setWhen({ except_consumers: chosen })}
                />
              </div>
            </details>
          </Panel>
          <Panel title="Then">
            <div className="policy-sentence">
              <Respond respond={policy.respond} change={(respond) => set({ respond })} />
              <span>on</span>
              <Select
                aria-label="Scope"
                size="sm"
                w={240}
                allowDeselect={false}
                value={policy.scope}
                data={Object.entries(SCOPE_WORDS).map(([value, label]) => ({ value, label }))}
                onChange={(value) => value && set({ scope: value as Policy['scope'] })}
              />
              <span>for</span>
              <Select
                aria-label="Duration"
                size="sm"
                w={210}
                allowDeselect={false}
                value={policy.duration}
                data={
                  DURATIONS.some((one) => one.value === policy.duration)
                    ? DURATIONS
                    : [...DURATIONS, { value: policy.duration, label: policy.duration }]
                }
                onChange={(value) => value && set({ duration: value })}
              />
            </div>
            <Textarea
              mt="sm"
              label="What a client that is refused reads"
              autosize
              value={policy.respond.message}
              onChange={(event) => set({ respond: { ...policy.respond, message: event.currentTarget.value } })}
            />
          </Panel>
          <Panel title="How">
            <div className="stack">
              <Select
                label="Mode"
                w={360}
                allowDeselect={false}
                value={policy.mode}
                data={[
                  { value: 'observe', label: 'Observe: say what it would do, and do nothing' },
                  { value: 'enforce', label: 'Enforce: do it' },
                ]}
                onChange={(value) => value && set({ mode: value })}
              />
              <Switch
                label="On"
                checked={policy.enabled}
                onChange={(event) => set({ enabled: event.currentTarget.checked })}
              />
            </div>
          </Panel>
        </fieldset>
        <div className="stack">
          <Panel title="In words">
            <p className="wrap">{sentence(policy)}</p>
          </Panel>
          {mayChange && (
            <div className="row" style={{ justifyContent: 'flex-end' }}>
              {row && (
                <Button variant="subtle" color="red" px="xs" onClick={() => setDeleting(true)}>
                  Delete
                </Button>
              )}
              <Button variant="default" component={Link} to="/policies">
                Cancel
              </Button>
              <Button
                type="submit"
                flex="none"
                color={policy.mode === 'enforce' && policy.enabled ? 'red' : undefined}
                loading={saving.isPending}
              >
                {policy.mode === 'enforce' && policy.enabled ? 'Save and enforce' : 'Save'}
              </Button>
            </div>
          )}
          {saving.error && !(saving.error instanceof NameTaken) && <Trouble error={saving.error} />}
          {/* It is read a moment later, and grows with what is typed: nothing stands below it. */}
          <WouldHave policy={policy} />
        </div>
      </form>
      {isDeleting && (
        <ReasonDialog
          title={`Delete ${policy.name}`}
          explanation="Actions that it started run on."
          action="Delete"
          isDangerous
          needsNoReason
          close={() => setDeleting(false)}
          decide={async () => {
            await got(
              api.DELETE('/api/v1/policies/{name}', { params: { path: { name: policy.name } }, headers: once() }),
            );
            await client.invalidateQueries({ queryKey: ['policies'] });
            await navigate('/policies');
          }}
        />
      )}
    </Page>
  );
}
