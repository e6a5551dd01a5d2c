// Calls as rows; every value of one leads on.
import { type ReactNode, useCallback, useMemo, useState } from 'react';

import type { EntityKind } from '../../api/types';
import { useAddress } from '../../parts/address';
import { callColumns, CALLS } from '../../parts/callColumns';
import { useColumns } from '../../parts/columns';
import { PagedTable } from '../../parts/DataTable';
import { callKey, useOpenCall } from '../../parts/openCall';
import { type Pivoted, PivotMenu } from '../../parts/Pivot';
import { withTerm } from '../../parts/search';
import { CallPanel } from '../call/CallPanel';
import { usePassing } from '../call/passing';
import { Facets } from './Facets';
import { useRoom } from './room';
import type { useCalls } from './useCalls';

interface Props {
  calls: ReturnType<typeof useCalls>;
  /** What they all have in common, and no row needs to say. */
  whose?: EntityKind;
  /** The terms that they are found by, to which a value adds one. */
  search: string;
  isFollowing?: boolean;
  empty: ReactNode;
}

export function CallsTable({ calls, whose, search, isFollowing, empty }: Props) {
  const [, change] = useAddress();
  const [pivot, setPivot] = useState<Pivoted>();
  // The menu takes the focus again where this changes.
  const close = useCallback(() => setPivot(undefined), []);
  const { key, open } = useOpenCall();
  const passing = usePassing(key, open);
  const { isTight, hasRoomForFacets } = useRoom();
  const { isShown } = useColumns(CALLS);
  const columns = useMemo(() => callColumns(setPivot, whose, isTight).filter(isShown), [whose, isTight, isShown]);
  const add = (next: string) => change({ q: next }, true);
  return (
    <>
      <div className="calls">
        <PagedTable
          pages={calls}
          label={CALLS}
          columns={columns}
          rowKey={callKey}
          rowHeight={32}
          onOpen={(call) => open(callKey(call))}
          opened={passing.key ?? key}
          fresh={calls.fresh}
          hasMoreFresh={calls.hasMoreFresh}
          onFresh={calls.showFresh}
          isFollowing={isFollowing}
          empty={empty}
        />
        {hasRoomForFacets && (calls.rows.length > 0 || calls.isPending) && (
          <Facets rows={calls.rows} hasMore={calls.hasNextPage} whose={whose} search={search} change={add} />
        )}
      </div>
      {pivot && <PivotMenu pivot={pivot} close={close} add={(added) => add(withTerm(search, added))} />}
      <CallPanel list={calls} passing={passing} />
    </>
  );
}
