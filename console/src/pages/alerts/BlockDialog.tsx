// "Block now": whom, where, for how long, and why.
import { Button, SegmentedControl, Select, Textarea } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { useNavigate } from 'react-router';

import { api, got, once } from '../../api/client';
import type { Alert } from '../../api/types';
import { Dialog } from '../../parts/Dialog';
import { NumberField } from '../../parts/NumberField';
import { DURATIONS } from '../policies/durations';
import { AlertTrouble } from './AlertTrouble';

type Where = 'consumer' | 'service' | 'route';

export function BlockDialog({ alert, close }: { alert: Alert; close: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const { entity, worst } = alert;
  const name = entity.label || entity.value;
  const [kind, setKind] = useState('block');
  const [perMinute, setPerMinute] = useState(30);
  const [where, setWhere] = useState<Where>('consumer');
  const [duration, setDuration] = useState('15m');
  const [reason, setReason] = useState('');
  const places = [
    { value: 'consumer', label: 'everything that it calls' },
    ...(worst.service_id ? [{ value: 'service', label: `the service ${worst.service_name || worst.service_id}` }] : []),
    ...(worst.route_id ? [{ value: 'route', label: `the route ${worst.route_name || worst.route_id}` }] : []),
  ];
  const scope = {
    consumer: { kind: 'consumer' as const },
    service: { kind: 'service' as const, id: worst.service_id, name: worst.service_name },
    route: { kind: 'route' as const, id: worst.route_id, name: worst.route_name },
  }[where];
  const response =
    kind === 'block' ? { kind: 'block' as const } : { kind: 'rate_limit' as const, limits: { minute: perMinute } };
  const acting = useMutation({
    mutationFn: () =>
      got(
        api.POST('/api/v1/actions', {
          body: { target: entity, alert: alert.id, response, scope, duration, reason: reason.trim() },
          headers: once(),
        }),
      ),
    onSuccess: async (action) => {
      void client.invalidateQueries({ queryKey: ['now', 'actions'] });
      void client.invalidateQueries({ queryKey: ['actions'] });
      close();
      await navigate(`/responses/${action.id}`);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    acting.mutate();
  };
  return (
    <Dialog title={`Restrict ${name.length > 40 ? `${name.slice(0, 40)}…` : name}`} open close={close}>
      <form className="stack" onSubmit={submit}>
        <p className="muted wrap">
          The gateway {entity.gateway} refuses this consumer’s calls within seconds. Release it at any time under
          Responses.
        </p>
        <SegmentedControl
          value={kind}
          onChange={setKind}
          data={[
            { value: 'block', label: 'Block' },
            { value: 'rate_limit', label: 'Limit' },
          ]}
          fullWidth
        />
        {kind === 'rate_limit' && (
          <NumberField
            label="Calls a minute"
            min={1}
            required
            value={perMinute}
            change={(value) => value !== null && setPerMinute(value)}
          />
        )}
        <Select
          label="For"
          allowDeselect={false}
          value={duration}
          data={DURATIONS}
          onChange={(value) => value && setDuration(value)}
        />
        <Select
          label="On"
          allowDeselect={false}
          value={where}
          data={places}
          onChange={(value) => value && setWhere(value as Where)}
        />
        <Textarea
          label="Reason"
          required
          autosize
          minRows={2}
          maxLength={500}
          data-autofocus
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
        {acting.error && <AlertTrouble error={acting.error} />}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" color="red" loading={acting.isPending} disabled={reason.trim() === ''}>
            {kind === 'block' ? 'Block now' : 'Limit now'}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
