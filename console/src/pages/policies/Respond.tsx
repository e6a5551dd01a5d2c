// The verb of a policy's sentence: block, or limit to so many calls.
import { NumberInput, Select } from '@mantine/core';

import type { Policy } from '../../api/types';

type Respond = Policy['respond'];
const WINDOWS = ['second', 'minute', 'hour', 'day', 'month', 'year'] as const;
type Window = (typeof WINDOWS)[number];

export function Respond({ respond, change }: { respond: Respond; change: (respond: Respond) => void }) {
  const limits: Partial<Record<Window, number | null>> = respond.kind === 'rate_limit' ? respond.limits : {};
  const window = WINDOWS.find((one) => limits[one] != null) ?? 'minute';
  const choose = (kind: string | null) => {
    const { message } = respond;
    if (kind === 'block') change({ kind, status: 403, message });
    if (kind === 'rate_limit') change({ kind, status: 429, message, limits: { minute: 30 } });
  };
  return (
    <>
      <Select
        aria-label="Response"
        size="sm"
        w={150}
        allowDeselect={false}
        value={respond.kind}
        data={[
          { value: 'block', label: 'block it' },
          { value: 'rate_limit', label: 'limit it' },
        ]}
        onChange={choose}
      />
      {respond.kind === 'rate_limit' && (
        <>
          <span>to</span>
          <NumberInput
            aria-label="Calls"
            size="sm"
            w={100}
            min={1}
            allowDecimal={false}
            value={limits[window] ?? ''}
            onChange={(most) => change({ ...respond, limits: { ...respond.limits, [window]: Number(most) || 1 } })}
          />
          <span>calls a</span>
          <Select
            aria-label="Window"
            size="sm"
            w={110}
            allowDeselect={false}
            value={window}
            data={[...WINDOWS]}
            onChange={(value) => value && change({ ...respond, limits: { [value]: limits[window] ?? 30 } })}
          />
        </>
      )}
    </>
  );
}
