// Calls as rows; every value of one leads on.
import { useMediaQuery } from '@mantine/hooks';
import { type ReactNode, useCallback, useMemo, useState } from 'react';

import type { EntityKind } from '../../api/types';
import { useAddress } from '../../parts/address';
import { useHasRoomBeside } from '../../parts/Beside';
import { callColumns, CALLS } from '../../parts/callColumns';
import { useColumns } from '../../parts/columns';
import { PagedTable } from '../../parts/DataTable';
import { callKey, useOpenCall } from '../../parts/openCall';
import { type Pivoted, PivotMenu } from '../../parts/Pivot';
import { withTerm } from '../../parts/search';
import { CallPanel } from '../call/CallPanel';
import { usePassing } from '../call/passing';
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

/** A window in which all columns have room beside a call. */
const ROOMY = '(min-width: 1800px)';

export function CallsTable({ calls, whose, search, isFollowing, empty }: Props) {
  const [, change] = useAddress();
  const [pivot, setPivot] = useState<Pivoted>();
  // The menu takes the focus again where this changes.
  const close = useCallback(() => setPivot(undefined), []);
  const { key, open } = useOpenCall();
  const passing = usePassing(key, open);
  const isRoomy = useMediaQuery(ROOMY, undefined, { getInitialValueInEffect: false });
  const isTight = useHasRoomBeside() && !isRoomy && key !== undefined;
  const { isShown } = useColumns(CALLS);
  const columns = useMemo(() => callColumns(setPivot, whose, isTight).filter(isShown), [whose, isTight, isShown]);
  return (
    <>
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
      {pivot && <PivotMenu pivot={pivot} close={close} add={(added) => change({ q: withTerm(search, added) }, true)} />}
      <CallPanel list={calls} passing={passing} />
    </>
  );
}
