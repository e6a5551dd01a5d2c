// Each gateway: how many services, routes, plugins and consumers it has, and when that changed.
import { useQuery } from '@tanstack/react-query';

import { api, got, type Schemas } from '../../api/client';
import { useWhileWatched } from '../../live/now';
import { useAddress } from '../../parts/address';
import { Command, Empty, Loading, Panel, Time, Trouble } from '../../parts/basics';
import { type Column, SmallTable } from '../../parts/DataTable';
import { count } from '../../parts/words';
import { HeldAt } from '../responses/Held';

type Plugin = Schemas['GatewayPlugin'];

/** A responder reads it every minute, and no stream tells of it. */
const AGAIN_MS = 20_000;

/** Those of this outrider are no part of it. */
const isOfAnother = (plugin: Plugin) => plugin.tags.includes('outrider');

export default function Gateways() {
  const [query, change] = useAddress();
  const gateways = useQuery({
    queryKey: ['gateways'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/gateways', { signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
  const rows = gateways.data?.items ?? [];
  const chosen = query.get('gateway') ?? rows[0]?.gateway;
  if (gateways.error) return <Trouble error={gateways.error} again={() => void gateways.refetch()} />;
  if (gateways.isPending) return <Loading />;
  if (rows.length === 0) {
    return (
      <Empty title="No gateway’s configuration was read yet.">
        <p>A responder reads it from the Admin API. Name it in the configuration, and see whether it can be reached:</p>
        <Command>{'[[gateways]]\nname = "kong"\nadmin_url = "http://localhost:8001"'}</Command>
        <Command>outrider doctor --config outrider.toml</Command>
      </Empty>
    );
  }
  return (
    <div className="stack" style={{ gap: 16 }}>
      <Panel title="Gateways" flush>
        <SmallTable
          label="Gateways"
          rows={rows}
          rowKey={(row) => row.gateway}
          columns={[
            {
              id: 'name',
              head: 'Gateway',
              width: 'minmax(0, 1fr)',
              cell: (row) => (
                <button
                  type="button"
                  className="link-button"
                  aria-pressed={row.gateway === chosen}
                  onClick={() => change({ gateway: row.gateway })}
                >
                  <strong>{row.gateway}</strong>
                </button>
              ),
            },
            { id: 'version', head: 'Version', width: '80px', cell: (row) => row.newest.version },
            ...(['services', 'routes', 'plugins', 'consumers', 'credentials'] as const).map((name) => ({
              id: name,
              head: name.charAt(0).toUpperCase() + name.slice(1),
              width: '84px',
              isNumber: true,
              cell: (row: Schemas['GatewayRow']) => count(row.newest[name]),
            })),
            {
              id: 'left',
              head: 'Left out',
              width: 'minmax(0, 1fr)',
              cell: (row) =>
                row.newest.left_out.length === 0 ? (
                  <span className="faint">nothing</span>
                ) : (
                  row.newest.left_out.map((one) => `${one.list}: ${one.why}`).join('; ')
                ),
            },
            {
              id: 'taken',
              head: 'Changed',
              width: '110px',
              isNumber: true,
              cell: (row) => <Time ms={row.newest.taken_ms} />,
            },
          ]}
        />
      </Panel>
      {chosen && <Configuration gateway={chosen} />}
    </div>
  );
}

function Configuration({ gateway }: { gateway: string }) {
  const found = useQuery({
    queryKey: ['gateway', gateway],
    queryFn: ({ signal }) =>
      got(api.GET('/api/v1/gateways/{name}/configuration', { params: { path: { name: gateway } }, signal })),
    refetchInterval: useWhileWatched(AGAIN_MS),
  });
  if (found.error) return <Trouble error={found.error} />;
  if (!found.data) return <Loading />;
  const { services, routes, plugins, consumers } = found.data.configuration;
  const serviceName = (id: string | null) => services.find((service) => service.id === id)?.name ?? id;
  const scope = (plugin: Plugin) => {
    const consumer = consumers.find((one) => one.id === plugin.consumer_id);
    const parts = [
      plugin.consumer_id && `consumer ${consumer?.username ?? plugin.consumer_id}`,
      plugin.route_id && `route ${routes.find((route) => route.id === plugin.route_id)?.name ?? plugin.route_id}`,
      plugin.service_id && `service ${serviceName(plugin.service_id) ?? ''}`,
    ].filter(Boolean);
    return parts.length === 0 ? 'everywhere' : parts.join(', ');
  };
  const pluginColumns: Column<Plugin>[] = [
    { id: 'name', head: 'Plugin', width: 'minmax(0, 1fr)', cell: (plugin) => <code>{plugin.name}</code> },
    { id: 'scope', head: 'Where', width: 'minmax(0, 1.5fr)', cell: scope },
    {
      id: 'owner',
      head: 'Whose',
      width: '130px',
      cell: (plugin) =>
        isOfAnother(plugin) ? <span className="tag">another outrider</span> : <span className="faint">yours</span>,
    },
    {
      id: 'enabled',
      head: 'State',
      width: '70px',
      cell: (plugin) => (plugin.enabled ? 'on' : <span className="faint">off</span>),
    },
  ];
  return (
    <>
      {/* It is what one comes for. */}
      <HeldAt gateway={gateway} />
      <Panel title={`Services of ${gateway}`} flush>
        <SmallTable
          label="Services"
          rows={services}
          rowKey={(service) => service.id}
          columns={[
            { id: 'name', head: 'Service', width: 'minmax(0, 1fr)', cell: (service) => service.name ?? service.id },
            {
              id: 'to',
              head: 'Upstream',
              width: 'minmax(0, 1.5fr)',
              cell: (service) => <code>{`${service.protocol}://${service.host}:${service.port}`}</code>,
            },
            {
              id: 'routes',
              head: 'Paths of its routes',
              width: 'minmax(0, 1.5fr)',
              cell: (service) => (
                <code>
                  {routes
                    .filter((route) => route.service_id === service.id)
                    .flatMap((route) => route.paths)
                    .join(', ')}
                </code>
              ),
            },
            {
              id: 'state',
              head: 'State',
              width: '70px',
              cell: (service) => (service.enabled ? 'on' : <span className="faint">off</span>),
            },
          ]}
        />
      </Panel>
      <Panel title={`Plugins of ${gateway}`} flush after={<span className="faint">without outrider’s own</span>}>
        <SmallTable label="Plugins" rows={plugins} rowKey={(plugin) => plugin.id} columns={pluginColumns} />
      </Panel>
    </>
  );
}
