// What has room beside the calls of a list.
import { useMediaQuery } from '@mantine/hooks';

import { useHasRoomBeside } from '../../parts/Beside';
import { NARROW } from '../../parts/DataTable';
import { useOpenCall } from '../../parts/openCall';

/** A window in which all columns have room beside a call. */
const ROOMY = '(min-width: 1800px)';

/** Known before anything is drawn, so that nothing moves. */
const AT_ONCE = { getInitialValueInEffect: false };

interface Room {
  /** A call that is open takes so much that not all columns have room. */
  isTight: boolean;
  hasRoomForFacets: boolean;
}

export function useRoom(): Room {
  const { key } = useOpenCall();
  const isRoomy = useMediaQuery(ROOMY, undefined, AT_ONCE);
  const isNarrow = useMediaQuery(NARROW, undefined, AT_ONCE);
  const isTight = useHasRoomBeside() && !isRoomy && key !== undefined;
  return { isTight, hasRoomForFacets: !isNarrow && !isTight };
}
