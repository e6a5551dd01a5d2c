// Whose timeline: typed, or chosen among those that alerts are about.
import { Button, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useNavigate } from 'react-router';

import { api, got } from '../../api/client';
import { isUntouched } from '../../api/status';
import { ENTITY_KINDS, type EntityKind } from '../../api/types';
import { nowAlerts, useStatus } from '../../live/now';
import { EntityLink, Panel, SeverityTag, timelinePath } from '../../parts/basics';
import { FirstSteps } from '../../parts/FirstSteps';
import { ENTITY_WORDS } from '../../parts/words';

const HINTS: Partial<Record<EntityKind, string>> = {
  consumer: 'its name or id, such as alice',
  credential: 'the gateway’s id of it, or its pseudonym',
  ip: 'such as 203.0.113.7',
  network: 'its number, such as 64496',
  session: 'its pseudonym: outrider pseudonym converts a value',
  business: 'such as merchant_id:4711',
};

export function PickEntity() {
  const navigate = useNavigate();
  const [kind, setKind] = useState<EntityKind>('consumer');
  const [value, setValue] = useState('');
  const alerts = useQuery(nowAlerts);
  const status = useStatus();
  const busy = useQuery({
    queryKey: ['completions', 'consumer:'],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/search/completions', { params: { query: { q: 'consumer:' } }, signal })),
    retry: false,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value.trim()) void navigate(timelinePath({ kind, value: value.trim() }));
  };
  const about = [...new Map((alerts.data?.items ?? []).map((alert) => [alert.entity.value, alert])).values()];
  return (
    <div className="stack" style={{ maxWidth: 760, gap: 16 }}>
      <form onSubmit={submit} className="row" style={{ alignItems: 'flex-end' }}>
        <Select
          label="Whose calls"
          w={170}
          allowDeselect={false}
          value={kind}
          data={ENTITY_KINDS.map((one) => ({ value: one, label: ENTITY_WORDS[one] }))}
          onChange={(chosen) => chosen && setKind(chosen)}
        />
        <TextInput
          className="spread"
          label={<span className="faint">{HINTS[kind]}</span>}
          aria-label={`${ENTITY_WORDS[kind]}: ${HINTS[kind]}`}
          data-search
          value={value}
          onChange={(event) => setValue(event.currentTarget.value)}
        />
        <Button type="submit" disabled={!value.trim()}>
          Open
        </Button>
      </form>
      {status.data && isUntouched(status.data) && (
        <Panel title="Nobody called yet" flush>
          <FirstSteps />
        </Panel>
      )}
      {about.length > 0 && (
        <Panel title="Open alerts are about" flush>
          <ul className="plain">
            {about.slice(0, 10).map((alert) => (
              <li key={alert.id} className="fire">
                <SeverityTag severity={alert.severity} />
                <div className="spread row">
                  <EntityLink entity={alert.entity} />
                </div>
                <span className="faint">{ENTITY_WORDS[alert.entity.kind]}</span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
      {(busy.data?.items.length ?? 0) > 0 && (
        <Panel title="Busiest consumers of the last two days" flush>
          <ul className="plain">
            {busy.data!.items.map((item) => {
              const name = item.search.replace(/^consumer:/, '').replaceAll('"', '');
              return (
                <li key={name} className="fire">
                  <div className="spread row">
                    <EntityLink entity={{ kind: 'consumer', value: name, label: name, gateway: '', workspace: '' }} />
                  </div>
                  <span className="faint">{item.words}</span>
                </li>
              );
            })}
          </ul>
        </Panel>
      )}
    </div>
  );
}
