// How an entity's calls lie in time, with what happened marked; beneath, if somebody wants to compare, those of a peer.
import { ActionIcon, Autocomplete } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { EntityKind } from '../../api/types';
import type { Range } from '../../charts/scale';
import { Strip, StripKeys } from '../../charts/Strip';
import { useAddress } from '../../parts/address';
import { timelinePath, Trouble } from '../../parts/basics';
import { useMarks, useStretches } from './marks';

interface Whom {
  kind: EntityKind;
  value: string;
  gateway?: string;
}

/** Into how many steps the range is divided. */
export const STEPS = 160;

function useDensity({ kind, value, gateway }: Whom, range: Range, asOf: number) {
  return useQuery({
    queryKey: ['density', kind, value, gateway, range, asOf],
    queryFn: ({ signal }) => {
      const query = {
        kind,
        entity: value,
        gateway,
        since_ms: Math.max(range.since, 0),
        until_ms: range.until,
        steps: STEPS,
      };
      return got(api.GET('/api/v1/timeline/density', { params: { query }, signal }));
    },
    placeholderData: keepPreviousData,
  });
}

interface Props {
  whom: Whom;
  range: Range;
  /** It is asked for again when this changes, or the range. */
  asOf: number;
  setRange: (range: Range) => void;
}

export function DensityStrips({ whom, range, asOf, asOfPeer, setRange }: Props & { asOfPeer: number }) {
  const [query, change] = useAddress();
  const peer = query.get('peer');
  return (
    <div className="density">
      <OneStrip whom={whom} range={range} asOf={asOf} setRange={setRange} height={peer ? 120 : 150} />
      {peer && (
        <>
          <div className="row">
            <span className="faint">Compared with</span>
            <Link className="cut" to={timelinePath({ ...whom, value: peer })}>
              {peer}
            </Link>
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label="Compare no more"
              onClick={() => change({ peer: null })}
            >
              <IconX size={14} />
            </ActionIcon>
          </div>
          <OneStrip
            key={peer}
            whom={{ ...whom, value: peer }}
            range={range}
            asOf={asOfPeer}
            setRange={setRange}
            height={100}
          />
        </>
      )}
      <div className="row wraps" style={{ columnGap: 14 }}>
        <StripKeys />
        <span className="strip-keys row faint">
          <span className="row">
            <svg width="9" height="9" viewBox="0 0 12 12" aria-hidden="true">
              <path d="M6 0 l6 6 l-6 6 l-6 -6 z" fill="var(--high)" />
            </svg>
            alert
          </span>
          <span className="row">
            <span className="strip-key" style={{ background: 'var(--refused)', opacity: 0.35 }} />
            block or limit in place
          </span>
          <span className="row">
            <span className="strip-key gap-key" />
            calls may be missing
          </span>
        </span>
        <div className="spread" />
        {!peer && <PickPeer kind={whom.kind} pick={(name) => change({ peer: name })} />}
      </div>
    </div>
  );
}

function OneStrip({ whom, range, asOf, setRange, height }: Props & { height: number }) {
  const density = useDensity(whom, range, asOf);
  const marks = useMarks(whom);
  const stretches = useStretches(whom, range);
  if (density.error) return <Trouble error={density.error} again={() => void density.refetch()} />;
  return (
    <Strip
      label={`Calls of ${whom.value}`}
      range={range}
      stepMs={density.data?.step_ms ?? 60_000}
      steps={density.data?.steps ?? []}
      marks={marks}
      stretches={stretches}
      height={height}
      onRange={setRange}
    />
  );
}

/** Whom to compare with: the busiest consumers are offered, others are typed. */
function PickPeer({ kind, pick }: { kind: EntityKind; pick: (value: string) => void }) {
  const [typed, setTyped] = useState('');
  const busy = useQuery({
    queryKey: ['completions', `consumer:${typed}`],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/search/completions', { params: { query: { q: `consumer:${typed}` } }, signal })),
    enabled: kind === 'consumer' && /^[\w.@-]*$/.test(typed),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const names = (busy.data?.items ?? []).map((item) => item.search.replace(/^consumer:/, '').replaceAll('"', ''));
  return (
    <Autocomplete
      size="xs"
      w={190}
      aria-label="Compare with"
      placeholder="Compare with a peer"
      value={typed}
      data={kind === 'consumer' ? [...new Set(names)] : []}
      onChange={setTyped}
      onOptionSubmit={pick}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && typed.trim()) pick(typed.trim());
      }}
    />
  );
}
