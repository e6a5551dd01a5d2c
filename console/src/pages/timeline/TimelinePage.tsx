// Everything that one entity did: how its calls lie in time, with what was found and done, and the calls themselves.
import { ActionIcon, Button, CopyButton, Switch } from '@mantine/core';
import { IconCheck, IconCopy, IconZoomOut } from '@tabler/icons-react';
import { skipToken, useQuery } from '@tanstack/react-query';
import { memo, useEffect, useMemo, useState } from 'react';

import { api, got } from '../../api/client';
import { ENTITY_KINDS, type EntityKind } from '../../api/types';
import { type Range, zoomed } from '../../charts/scale';
import { serverNow } from '../../live/clock';
import type { Summary } from '../../live/follow';
import { useAddress } from '../../parts/address';
import { Empty, Page, Time } from '../../parts/basics';
import { CALLS, choosableColumns } from '../../parts/callColumns';
import { ColumnMenu } from '../../parts/columns';
import { ENTITY_WORDS, length } from '../../parts/words';
import { Terms } from '../hunt/Terms';
import { CallsTable } from './CallsTable';
import { DensityStrips } from './DensityStrips';
import { FacetsButton } from './Facets';
import { PickEntity } from './PickEntity';
import { type Coming, useCalls } from './useCalls';
import { type Tell, useLook } from './useLook';
import { PRESETS, useRange } from './useRange';

/** A range of which no call comes any more while somebody looks is asked for once more, and one of long ago once. */
const OVER = 0;

interface Whom {
  kind: EntityKind;
  value: string;
  gateway?: string;
}

export default function TimelinePage() {
  const [query] = useAddress();
  const kind = ENTITY_KINDS.find((one) => one === query.get('kind'));
  const value = query.get('entity');
  const gateway = query.get('gateway') ?? undefined;
  if (!kind || !value) {
    return (
      <Page title="Timeline">
        <PickEntity />
      </Page>
    );
  }
  return <OneTimeline key={`${kind} ${value}`} whom={{ kind, value, gateway }} />;
}

function OneTimeline({ whom }: { whom: Whom }) {
  const { now, asOf, tell } = useLook();
  const { range, shown, coming, preset, setRange, setPreset } = useRange(now);
  const name = useName(whom);
  return (
    <Page
      title={name}
      full
      before={<span className="tag accent">{ENTITY_WORDS[whom.kind]}</span>}
      after={
        <>
          <CopyButton value={whom.value}>
            {({ copied, copy }) => (
              <ActionIcon
                variant="subtle"
                color="gray"
                size="sm"
                aria-label="Copy the id"
                title={whom.value}
                onClick={copy}
              >
                {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
              </ActionIcon>
            )}
          </CopyButton>
          {whom.gateway && <span className="faint">at {whom.gateway}</span>}
          <div className="spread" />
          <span className="faint number">
            <Time ms={range.since} /> – {preset ? 'now' : <Time ms={range.until} />} ·{' '}
            {length(range.until - range.since)}
          </span>
          <div className="tabs" role="group" aria-label="Range">
            {PRESETS.map(([one]) => (
              <Button
                key={one}
                size="compact-xs"
                variant={one === preset ? 'light' : 'subtle'}
                color={one === preset ? undefined : 'gray'}
                onClick={() => setPreset(one)}
              >
                {one}
              </Button>
            ))}
            <ActionIcon
              variant="subtle"
              color="gray"
              size="sm"
              aria-label="Zoom out"
              onClick={() => setRange(zoomed(shown, 2), false)}
            >
              <IconZoomOut size={15} />
            </ActionIcon>
          </div>
        </>
      }
    >
      <DensityStrips
        whom={whom}
        name={name}
        range={range}
        shown={shown}
        asOf={coming === 'none' ? OVER : asOf}
        // Only of whom the page is about is it known whether there is something new.
        asOfPeer={coming === 'new' ? now : coming === 'late' ? asOf : OVER}
        setRange={setRange}
      />
      <Calls whom={whom} range={range} coming={coming} isPreset={preset !== undefined} tell={tell} />
    </Page>
  );
}

/** A consumer's name, where its newest call says it. */
function useName({ kind, value, gateway }: Whom): string {
  const newest = useQuery({
    queryKey: ['name', kind, value, gateway],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/timeline', { params: { query: { kind, entity: value, gateway, limit: 1 } }, signal })),
    enabled: kind === 'consumer',
    staleTime: Infinity,
  });
  return newest.data?.items[0]?.consumer_name ?? value;
}

/** Where news come from while the calls that are listed are not all. */
const SUMMARY = 'summary';

/** Nothing is drawn again for what is not asked. */
const NOTHING_OF = () => undefined;
const callsOf = (summary: Summary) => summary.calls ?? undefined;

interface FilterProps {
  whose: EntityKind;
  canFollow: boolean;
  isFollowing: boolean;
}

/** Not drawn again with each call that comes. */
const Filter = memo(function Filter({ whose, canFollow, isFollowing }: FilterProps) {
  const [query, change] = useAddress();
  const columns = useMemo(() => choosableColumns(whose), [whose]);
  return (
    <Terms
      search={query.get('q') ?? ''}
      change={(q) => change({ q })}
      after={
        <>
          <FacetsButton />
          <ColumnMenu table={CALLS} columns={columns} />
          {canFollow && (
            <Switch
              size="xs"
              label="Follow"
              title="Shows new calls by itself, while the first row is in view, and the pointer and the keys are elsewhere"
              checked={isFollowing}
              onChange={(event) => change({ follow: event.currentTarget.checked ? 'on' : null })}
            />
          )}
        </>
      }
    />
  );
});

interface CallsProps {
  whom: Whom;
  range: Range;
  coming: Coming;
  isPreset: boolean;
  tell: Tell;
}

function Calls({ whom, range, coming, isPreset, tell }: CallsProps) {
  const [query, change] = useAddress();
  const search = query.get('q') ?? '';
  // A range that moves with the time is asked for once; what is newer is added.
  const span = Math.round((range.until - range.since) / 1000);
  const [begun] = useState(serverNow);
  const since = isPreset ? begun - span * 1000 : range.since;
  // One that moves has no end: whoever says when a call was over may have another clock.
  const until = isPreset ? undefined : range.until;
  const of = useMemo(
    () => ({ entity: { kind: whom.kind, value: whom.value, gateway: whom.gateway }, search, since, until }),
    [whom.kind, whom.value, whom.gateway, search, since, until],
  );
  const isFollowing = coming === 'new' && query.get('follow') === 'on';
  const calls = useCalls(of, coming, isFollowing);
  // Among calls that a filter hides there may be new ones whenever anybody called.
  const counted = useQuery<Summary, Error, number | undefined>({
    queryKey: ['summary'],
    queryFn: skipToken,
    select: search === '' ? NOTHING_OF : callsOf,
  });
  const source = search === '' ? of : SUMMARY;
  const newest = search === '' ? calls.newestUs : counted.data;
  useEffect(() => tell(source, newest), [tell, source, newest]);
  return (
    <>
      <Filter whose={whom.kind} canFollow={coming === 'new'} isFollowing={isFollowing} />
      <CallsTable
        calls={calls}
        whose={whom.kind}
        search={search}
        isFollowing={isFollowing}
        empty={
          <Empty title="No calls here.">
            {search ? (
              <p>
                No call of this time fits the filter.{' '}
                <button type="button" className="link-button link" onClick={() => change({ q: null })}>
                  Show all of its calls
                </button>
              </p>
            ) : (
              <p>
                None at this time.{' '}
                <button
                  type="button"
                  className="link-button link"
                  onClick={() => change({ last: '30d', since: null, until: null }, true)}
                >
                  Show the last 30 days
                </button>
                , which is how long the lake keeps calls, unless lake.retention_days says something else.
              </p>
            )}
          </Empty>
        }
      />
    </>
  );
}
