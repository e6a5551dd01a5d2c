// What the gateways hold of outrider's, by their own word. Their configuration, as it is kept, is without it.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';

import { partsOf, type Responder } from '../../api/parts';
import { type Action, ACTIVE_STATES } from '../../api/types';
import { nowActions, useStatus } from '../../live/now';
import { EntityLink, Loading, Panel, Time, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { counted, doing, scopeWords } from '../../parts/words';
import { STATE, UNTIL } from './columns';

function useResponders(): Responder[] {
  const status = useStatus();
  return status.data ? partsOf(status.data).responders : [];
}

/** When a responder last looked, and what keeps it from that. */
function Seen({ of }: { of: Responder }) {
  return (
    <>
      , seen <Time ms={of.listed_ms} relative />
      {of.isSilent ? (
        <span className="bad"> · its responder is silent</span>
      ) : (
        of.failure && <span className="bad"> · cannot be reached</span>
      )}
    </>
  );
}

/** In a line, for all gateways. */
export function Held() {
  return (
    <div className="row wraps muted" role="status">
      {useResponders().map((one) => (
        <span key={one.gateway} className="in-text" title={one.failure}>
          <strong>{one.gateway}</strong> holds{' '}
          <Link to={`/settings/gateways?gateway=${encodeURIComponent(one.gateway)}`}>
            {counted(one.own_plugins, 'plugin')} of outrider’s
          </Link>
          <Seen of={one} />
        </span>
      ))}
    </div>
  );
}

const COLUMNS: Column<Action>[] = [
  STATE,
  { id: 'whom', head: 'Whom', width: 'minmax(0, 1fr)', cell: (action) => <EntityLink entity={action.target} /> },
  {
    id: 'what',
    head: 'What',
    width: 'minmax(0, 1.5fr)',
    cell: (action) => <Link to={`/responses/${action.id}`}>{doing(action.kind)}</Link>,
  },
  { id: 'where', head: 'Where', width: 'minmax(0, 1.5fr)', cell: (action) => scopeWords(action.scope) },
  UNTIL,
];

/** At one gateway, with the actions that it is there for. */
export function HeldAt({ gateway }: { gateway: string }) {
  const responder = useResponders().find((one) => one.gateway === gateway);
  const actions = useQuery(nowActions);
  const rows = (actions.data?.items ?? []).filter(
    ({ state, target }) => target.gateway === gateway && ACTIVE_STATES.includes(state),
  );
  return (
    <Panel
      title={`What outrider holds at ${gateway}`}
      flush
      after={
        responder && (
          <span className="faint in-text" title={responder.failure}>
            {counted(responder.own_plugins, 'plugin')}
            <Seen of={responder} />
          </span>
        )
      }
    >
      {actions.error && <Trouble error={actions.error} again={() => void actions.refetch()} />}
      {actions.isPending ? (
        <div style={{ padding: 16 }}>
          <Loading lines={2} />
        </div>
      ) : rows.length > 0 ? (
        <SmallTable label="Held" rows={rows} rowKey={({ id }) => id} columns={COLUMNS} />
      ) : (
        <p className="muted" style={{ padding: 16 }}>
          Nothing: nobody is blocked or limited there.
        </p>
      )}
    </Panel>
  );
}
