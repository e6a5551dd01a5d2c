// The verb of a policy's sentence: block, or limit to so many calls.
import { Select } from '@mantine/core';

import type { Policy } from '../../api/types';
import { NumberField } from '../../parts/NumberField';

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
          <NumberField
            aria-label="Calls"
            size="sm"
            w={100}
            min={1}
            required
            value={limits[window] ?? null}
            change={(most) => change({ ...respond, limits: { ...respond.limits, [window]: most } })}
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
