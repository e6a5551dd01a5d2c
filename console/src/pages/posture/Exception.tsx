// That a weakness is left for a while: who decided it, why and until when, and how it is decided and taken back.
import { Button, TextInput } from '@mantine/core';
import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';

import { api, got, once } from '../../api/client';
import type { WeaknessRow } from '../../api/types';
import { Panel, Time } from '../../parts/basics';
import { ReasonDialog } from '../../parts/Dialog';
import { byWhom } from '../../parts/words';
import { useMay } from '../../shell/session';
import { COUNTS, WEAKNESS, WEAKNESSES } from './reading';
import { dayIn, endOfDay, exceptionOf } from './weakness';

/** Lengths that are chosen with a click, in days. A year is within what is allowed at first. */
const DAYS = [7, 30, 90, 365] as const;
const DAYS_AT_FIRST = 30;

async function took(client: QueryClient, changed: WeaknessRow): Promise<void> {
  client.setQueryData([WEAKNESS, changed.id], changed);
  await Promise.all([WEAKNESSES, COUNTS, 'alerts'].map((name) => client.invalidateQueries({ queryKey: [name] })));
}

export function ExceptionOf({ weakness: { state } }: { weakness: WeaknessRow }) {
  const exception = exceptionOf(state);
  if (!exception) return null;
  return (
    <Panel title="Left for a while">
      <div className="stack" style={{ gap: 6 }}>
        <p className="wrap comment">{exception.reason}</p>
        <p className="muted">
          until <Time ms={exception.until_ms} />, decided by {byWhom(exception.by)}. It makes nothing safer, so the
          score stays.
        </p>
      </div>
    </Panel>
  );
}

/** For whoever may decide. What is there no longer is not left. */
export function ExceptionButtons({ weakness }: { weakness: WeaknessRow }) {
  const mayDecide = useMay('analyst');
  const [open, setOpen] = useState<'leave' | 'withdraw'>();
  if (!mayDecide || weakness.state === 'fixed') return null;
  const close = () => setOpen(undefined);
  const isLeft = exceptionOf(weakness.state) !== undefined;
  return (
    <div className="row wraps">
      <Button size="xs" variant="default" onClick={() => setOpen('leave')}>
        {isLeft ? 'Change its end…' : 'Leave it until…'}
      </Button>
      {isLeft && (
        <Button size="xs" variant="default" onClick={() => setOpen('withdraw')}>
          Take the exception back
        </Button>
      )}
      {open === 'leave' && <Leave weakness={weakness} close={close} />}
      {open === 'withdraw' && <Withdraw weakness={weakness} close={close} />}
    </div>
  );
}

function Leave({ weakness: { id }, close }: { weakness: WeaknessRow; close: () => void }) {
  const client = useQueryClient();
  const [day, setDay] = useState(() => dayIn(DAYS_AT_FIRST));
  const leave = async (reason: string) => {
    const body = { until_ms: endOfDay(day), reason };
    const answer = api.PUT('/api/v1/posture/{id}/exception', { params: { path: { id } }, body, headers: once() });
    await took(client, await got(answer));
  };
  return (
    <ReasonDialog
      title="Leave it until…"
      explanation="It stays on the list as excepted, and its alert is resolved. When the day is over it is open again by itself."
      action="Leave it"
      isIncomplete={day === ''}
      decide={leave}
      close={close}
    >
      <TextInput
        type="date"
        label="Until the end of"
        required
        min={dayIn(0)}
        value={day}
        onChange={(event) => setDay(event.currentTarget.value)}
      />
      <div className="row wraps" role="group" aria-label="How long">
        {DAYS.map((days) => (
          <Button
            key={days}
            size="compact-xs"
            variant={day === dayIn(days) ? 'light' : 'default'}
            aria-pressed={day === dayIn(days)}
            onClick={() => setDay(dayIn(days))}
          >
            {days === 365 ? 'a year' : `${days} days`}
          </Button>
        ))}
      </div>
    </ReasonDialog>
  );
}

function Withdraw({ weakness: { id }, close }: { weakness: WeaknessRow; close: () => void }) {
  const client = useQueryClient();
  const withdraw = async () => {
    const answer = api.DELETE('/api/v1/posture/{id}/exception', { params: { path: { id } }, headers: once() });
    await took(client, await got(answer));
  };
  return (
    <ReasonDialog
      title="Take the exception back"
      explanation="The weakness is open again at once, and opens an alert if it is grave enough for one."
      action="Take it back"
      needsNoReason
      decide={withdraw}
      close={close}
    />
  );
}
