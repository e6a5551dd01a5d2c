// What a person may decide about an alert. Nobody sees a button that would fail: roles and states decide what is there.
import { Button } from '@mantine/core';
import { IconBan, IconShieldPlus } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';

import type { Alert, EntityKind } from '../../api/types';
import { decided } from '../../live/follow';
import { ReasonDialog } from '../../parts/Dialog';
import { protectingOfAlert, useGuardRails } from '../../parts/neverBlock';
import { useMay } from '../../shell/session';
import { AlertTrouble } from './AlertTrouble';
import { BlockDialog } from './BlockDialog';
import { CONSEQUENCES, type Decision, decide, HISTORY_WORDS, isPossible, useForgotten, useServed } from './deciding';

type Open = 'resolve' | 'false-positive' | 'block' | undefined;

const WHOM: Record<Exclude<EntityKind, 'consumer'>, string> = {
  credential: 'a credential',
  ip: 'an address',
  network: 'a network',
  session: 'a session',
  business: 'a business entity',
  service: 'a service',
  gateway: 'a gateway',
};

/** Why no policy restricts whom an alert is about; undefined where one can. */
function whyBeyond({ entity, worst }: Alert): { whom: string; why: string } | undefined {
  if (entity.kind !== 'consumer') {
    return { whom: WHOM[entity.kind], why: 'Gateways restrict consumers alone, and this alert is not about one' };
  }
  if (worst.target.anonymous_consumer) {
    return { whom: 'the anonymous consumer', why: 'It stands for everybody without a credential' };
  }
  return undefined;
}

export function Decisions({ alert }: { alert: Alert }) {
  const client = useQueryClient();
  const [open, setOpen] = useState<Open>();
  const mayDecide = useMay('analyst');
  const mayAct = useMay('responder');
  const close = () => setOpen(undefined);
  const took = (changed: Alert) => {
    decided(client, 'alert', 'alerts', alert, changed);
    void client.invalidateQueries({ queryKey: ['audit', changed.id] });
  };
  const take = async (decision: Decision, reason = '') => took(await decide(decision, alert, reason));
  const acknowledge = useMutation({ mutationFn: () => take('acknowledge') });
  const isServed = useServed(alert.entity.gateway);
  const protecting = protectingOfAlert(useGuardRails().data?.never_block ?? [], alert);
  const forgotten = useForgotten()(alert);
  const beyond = whyBeyond(alert);
  const canBlock = mayAct && !forgotten && !beyond;
  if (!mayDecide) return null;
  return (
    <div className="row wraps">
      {forgotten && (
        <span className="faint" title={HISTORY_WORDS}>
          only history
        </span>
      )}
      {isPossible('acknowledge', alert.state, forgotten) && (
        <Button size="xs" variant="default" loading={acknowledge.isPending} onClick={() => acknowledge.mutate()}>
          Acknowledge
        </Button>
      )}
      {isPossible('resolve', alert.state, forgotten) && (
        <Button size="xs" variant="default" onClick={() => setOpen('resolve')}>
          Resolve
        </Button>
      )}
      {isPossible('false-positive', alert.state, forgotten) && (
        <Button size="xs" variant="default" onClick={() => setOpen('false-positive')}>
          False positive
        </Button>
      )}
      {mayAct && beyond && (
        <span className="faint" title={beyond.why}>
          no policy restricts {beyond.whom}
        </span>
      )}
      {mayAct && !beyond && (
        <Button
          size="xs"
          variant="default"
          component={Link}
          to={`/policies/new?alert=${alert.id}`}
          leftSection={<IconShieldPlus size={14} />}
        >
          Make a policy
        </Button>
      )}
      {canBlock && !isServed && (
        <span
          className="faint"
          title="The configuration names those that have one: [[gateways]], or gateways of [premises] for one elsewhere"
        >
          no responder blocks at {alert.entity.gateway}
        </span>
      )}
      {canBlock && isServed && protecting !== undefined && (
        <span className="faint" title={`The configuration has it: guard_rails.never_block names “${protecting}”`}>
          a never-block rule protects this consumer
        </span>
      )}
      {canBlock && isServed && protecting === undefined && (
        <Button size="xs" color="red" leftSection={<IconBan size={14} />} onClick={() => setOpen('block')}>
          Block now
        </Button>
      )}
      {acknowledge.error && <AlertTrouble error={acknowledge.error} />}
      {open === 'resolve' && (
        <ReasonDialog
          title="Resolve this alert"
          explanation={CONSEQUENCES.resolve}
          action="Resolve"
          trouble={AlertTrouble}
          close={close}
          decide={(reason) => take('resolve', reason)}
        />
      )}
      {open === 'false-positive' && (
        <ReasonDialog
          title="This was no abuse"
          explanation={CONSEQUENCES['false-positive']}
          action="Mark as false positive"
          trouble={AlertTrouble}
          close={close}
          decide={(reason) => take('false-positive', reason)}
        />
      )}
      {open === 'block' && <BlockDialog alert={alert} close={close} />}
    </div>
  );
}
