// How an entity's calls lie in time, with what happened marked; beneath, if somebody wants to compare, those of a peer.
import { ActionIcon, Autocomplete } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { EntityKind } from '../../api/types';
import { mostOf } from '../../charts/bars';
import type { Range } from '../../charts/scale';
import { type Step, Strip, StripKeys } from '../../charts/Strip';
import { useAddress } from '../../parts/address';
import { timelinePath, Trouble } from '../../parts/basics';
import { entityField } from '../../parts/search';
import { counted, ENTITY_WORDS, share } from '../../parts/words';
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
    enabled: value !== '',
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
    // What is of somebody else is no stand-in.
    placeholderData: (before, query) => (query?.queryKey[2] === value ? before : undefined),
  });
}

interface Props {
  whom: Whom;
  /** What the page calls them: who is opened by an id is offered by a name. */
  name: string;
  range: Range;
  /** The range that is drawn, which may be ahead of what is asked for. */
  shown: Range;
  /** It is asked for again when this changes, or the range. */
  asOf: number;
  asOfPeer: number;
  setRange: (range: Range, isTurning: boolean) => void;
}

export function DensityStrips({ whom, name, range, shown, asOf, asOfPeer, setRange }: Props) {
  const [query, change] = useAddress();
  const peer = query.get('peer') ?? '';
  const density = useDensity(whom, range, asOf);
  const densityOfPeer = useDensity({ ...whom, value: peer }, range, asOfPeer);
  const [cursor, setCursor] = useState<number>();
  const [own, other] = [density.data?.steps ?? [], densityOfPeer.data?.steps ?? []];
  // As tall as each other where they have as many calls, and pointed at together.
  const compared = peer ? { most: Math.max(mostOf(own), mostOf(other)), cursor, onCursor: setCursor } : {};
  const shared = { asked: range, range: shown, onRange: setRange, ...compared };
  return (
    <div className="density">
      <OneStrip whom={whom} density={density} height={peer ? 120 : 150} {...shared} />
      {peer && (
        <>
          <div className="row wraps">
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
            {density.data && densityOfPeer.data && (
              <span className="muted">
                {totals(`This ${ENTITY_WORDS[whom.kind].toLowerCase()}`, own)}; {totals(peer, other)}. Both have one
                scale.
              </span>
            )}
          </div>
          <OneStrip key={peer} whom={{ ...whom, value: peer }} density={densityOfPeer} height={100} {...shared} />
        </>
      )}
      <div className="row wraps" style={{ columnGap: 14 }}>
        <StripKeys />
        <span className="strip-keys density-marks row faint">
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
          <span className="row">
            <span className="strip-key" style={{ background: 'var(--faint)', opacity: 0.35 }} />
            not kept
          </span>
        </span>
        {query.get('q') && <span className="muted">All calls are drawn; the filter is for the list below.</span>}
        <div className="spread" />
        {!peer && <PickPeer whom={whom} name={name} pick={(peer) => change({ peer })} />}
      </div>
    </div>
  );
}

interface OneStripProps {
  whom: Whom;
  density: ReturnType<typeof useDensity>;
  asked: Range;
  range: Range;
  height: number;
  onRange: (range: Range, isTurning: boolean) => void;
  most?: number;
  cursor?: number;
  onCursor?: (at: number | undefined) => void;
}

function OneStrip({ whom, density, asked, ...drawn }: OneStripProps) {
  const marks = useMarks(whom);
  const stretches = useStretches(whom, asked);
  if (density.error) return <Trouble error={density.error} again={() => void density.refetch()} />;
  return (
    <Strip
      label={`Calls of ${whom.value}`}
      stepMs={density.data?.step_ms ?? 60_000}
      steps={density.data?.steps ?? []}
      marks={marks}
      stretches={stretches}
      {...drawn}
    />
  );
}

/** How many calls somebody made, and which share of them was answered with an error or refused by outrider. */
function totals(name: string, steps: Step[]): string {
  const sum = (of: (step: Step) => number) => steps.reduce((all, step) => all + of(step), 0);
  const calls = sum((step) => step.calls);
  if (calls === 0) return `${name}: no calls`;
  const refused = sum((step) => step.refused);
  const errors = share(sum((step) => step.client_errors + step.server_errors) / calls);
  return `${name}: ${counted(calls, 'call')}, ${errors} errors${refused > 0 ? `, ${share(refused / calls)} refused by outrider` : ''}`;
}

interface PickProps {
  whom: Whom;
  name: string;
  pick: (value: string) => void;
}

/** Whom to compare with: the busiest of the kind are offered, others are typed. */
function PickPeer({ whom: { kind, value }, name: own, pick }: PickProps) {
  const [typed, setTyped] = useState('');
  const field = entityField(kind);
  const busy = useQuery({
    queryKey: ['completions', `${field}:${typed}`],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/search/completions', { params: { query: { q: `${field}:${typed}` } }, signal })),
    enabled: field !== undefined && /^[\w.@:-]*$/.test(typed),
    placeholderData: keepPreviousData,
    retry: false,
  });
  const names = (busy.data?.items ?? []).map((item) => item.search.slice(`${field}:`.length).replaceAll('"', ''));
  // Calls without one have an empty value.
  const others = [...new Set(names)].filter((name) => name !== '' && name !== value && name !== own);
  return (
    <Autocomplete
      size="xs"
      w={190}
      aria-label="Compare with"
      placeholder="Compare with a peer"
      value={typed}
      data={others}
      onChange={setTyped}
      onOptionSubmit={pick}
      onKeyDown={(event) => {
        if (event.key === 'Enter' && typed.trim()) pick(typed.trim());
      }}
    />
  );
}
