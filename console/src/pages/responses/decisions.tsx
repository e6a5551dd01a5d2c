// What a person may decide about an action, and about all of them at once.
import { Button } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, got, once } from '../../api/client';
import { type Action, ACTIVE_STATES } from '../../api/types';
import { decided } from '../../live/follow';
import { useKillSwitch } from '../../live/now';
import { ReasonDialog } from '../../parts/Dialog';
import { protectingOfAction, useGuardRails } from '../../parts/neverBlock';
import { doing } from '../../parts/words';
import { useMay } from '../../shell/session';

const PROTECTED = 'a never-block rule protects this consumer; reject it';

export function ActionDecisions({ action, size = 'compact-xs' }: { action: Action; size?: 'compact-xs' | 'xs' }) {
  const client = useQueryClient();
  const mayAct = useMay('responder');
  const [open, setOpen] = useState<'release' | 'reject' | 'approve'>();
  const close = () => setOpen(undefined);
  const took = (changed: Action) => decided(client, 'action', 'actions', action, changed);
  const rules = useGuardRails().data?.never_block ?? [];
  if (!mayAct) return null;
  const params = { path: { id: action.id } };
  const name = action.target.label || action.target.value;
  const canRelease = ACTIVE_STATES.includes(action.state) && action.state !== 'releasing';
  return (
    <div className="row" style={{ justifyContent: 'flex-end' }}>
      {action.state === 'proposed' && (
        <>
          {protectingOfAction(rules, action) === undefined ? (
            <Button size={size} onClick={() => setOpen('approve')}>
              Approve
            </Button>
          ) : (
            <span className="faint cut" title={PROTECTED}>
              {size === 'xs' ? PROTECTED : 'protected'}
            </span>
          )}
          <Button size={size} variant="default" onClick={() => setOpen('reject')}>
            Reject
          </Button>
        </>
      )}
      {canRelease && (
        <Button size={size} variant="default" onClick={() => setOpen('release')}>
          Release
        </Button>
      )}
      {open === 'release' && (
        <ReasonDialog
          title={`Release ${name}`}
          explanation={`${doing(action.kind)} ends now, and the gateway lets the calls through again.`}
          action="Release"
          close={close}
          decide={async (reason) =>
            took(await got(api.POST('/api/v1/actions/{id}/release', { params, body: { reason }, headers: once() })))
          }
        />
      )}
      {open === 'reject' && (
        <ReasonDialog
          title="Reject this action"
          explanation={`${name} is not restricted.`}
          action="Reject"
          close={close}
          decide={async (reason) =>
            took(await got(api.POST('/api/v1/actions/{id}/reject', { params, body: { reason }, headers: once() })))
          }
        />
      )}
      {open === 'approve' && <Approve action={action} close={close} took={took} />}
    </div>
  );
}

function Approve({ action, close, took }: { action: Action; close: () => void; took: (action: Action) => void }) {
  const params = { path: { id: action.id } };
  return (
    <ReasonDialog
      title="Carry this out"
      explanation={`${doing(action.kind)} for ${action.target.label || action.target.value} at ${action.target.gateway}. Proposed because: ${action.reason}`}
      action="Approve"
      close={close}
      needsNoReason
      decide={async () =>
        took(await got(api.POST('/api/v1/actions/{id}/approve', { params, body: {}, headers: once() })))
      }
    />
  );
}

/** The big red button: no automatic action any more. */
export function KillSwitch() {
  const client = useQueryClient();
  const kill = useKillSwitch();
  const mayAct = useMay('responder');
  const [isOpen, setOpen] = useState(false);
  if (!kill.data || !mayAct) return null;
  const isOn = kill.data.on;
  return (
    <>
      <Button
        size="xs"
        color={isOn ? undefined : 'red'}
        variant={isOn ? 'filled' : 'light'}
        onClick={() => setOpen(true)}
      >
        {isOn ? 'Let automatic actions go on' : 'Stop automatic actions'}
      </Button>
      {isOpen && (
        <ReasonDialog
          title={isOn ? 'Let automatic actions go on' : 'Stop all automatic actions'}
          explanation={
            isOn
              ? 'Policies act again from now on.'
              : 'No policy acts until somebody lets them go on. What is in force stays until its time is over, or until it is released. People can still act.'
          }
          action={isOn ? 'Go on' : 'Stop them'}
          isDangerous={!isOn}
          close={() => setOpen(false)}
          decide={async (reason) =>
            client.setQueryData(
              ['kill-switch'],
              await got(api.PUT('/api/v1/kill-switch', { body: { on: !isOn, reason }, headers: once() })),
            )
          }
        />
      )}
    </>
  );
}
