// What every list of actions shows alike.
import type { Action } from '../../api/types';
import { ActionStateTag, Time } from '../../parts/basics';
import type { Column } from '../../parts/DataTable';
import { endOf } from '../../parts/words';

export const STATE: Column<Action> = {
  id: 'state',
  head: 'State',
  width: '132px',
  cell: (action) => <ActionStateTag state={action.state} />,
};

export const UNTIL: Column<Action> = {
  id: 'until',
  head: 'Until',
  width: '116px',
  isNumber: true,
  cell: (action) => {
    const end = endOf(action);
    return end ? <Time ms={end} /> : <span className="muted">no end</span>;
  },
};
