// How every part does, in the numbers that it gives of itself, and what was wrong lately.
import { useQuery } from '@tanstack/react-query';

import { api, got } from '../../api/client';
import { total } from '../../api/status';
import { useStatus } from '../../live/now';
import { Empty, Facts, Loading, Panel, Time, Trouble } from '../../parts/basics';
import { SmallTable } from '../../parts/DataTable';
import { bytes, count } from '../../parts/words';
import { NoticeRow } from '../overview/OverviewPage';
import { Enrichment, LakeAndLog } from './Stored';

export function Health() {
  const status = useStatus();
  if (status.error) return <Trouble error={status.error} again={() => void status.refetch()} />;
  if (!status.data) return <Loading lines={8} />;
  const { platform, sources, responders, enrichment, version, installation } = status.data;
  return (
    <div className="stack" style={{ gap: 16 }}>
      <Notices />
      <Panel title="Sources of logs" flush>
        <SmallTable
          label="Sources"
          rows={sources ?? []}
          rowKey={(source) => source.name}
          columns={[
            {
              id: 'name',
              head: 'Source',
              width: 'minmax(0, 2fr)',
              cell: (source) => <code title={source.name}>{source.name}</code>,
            },
            {
              id: 'open',
              head: 'Connections',
              width: '96px',
              isNumber: true,
              cell: (source) => count(source.counters?.connections_open),
            },
            {
              id: 'lines',
              head: 'Lines',
              width: '96px',
              isNumber: true,
              cell: (source) => count(source.counters?.received),
            },
            {
              id: 'calls',
              head: 'Calls',
              width: '96px',
              isNumber: true,
              cell: (source) => count(source.counters?.accepted),
            },
            {
              id: 'dropped',
              head: 'Dropped',
              width: '84px',
              isNumber: true,
              cell: (source) => count(total(source.counters?.dropped)),
            },
            {
              id: 'rejected',
              head: 'Rejected',
              width: '84px',
              isNumber: true,
              cell: (source) => count(total(source.counters?.rejected)),
            },
            {
              id: 'untrusted',
              head: 'Untrusted',
              width: '84px',
              isNumber: true,
              cell: (source) => count(source.counters?.untrusted),
            },
            {
              id: 'last',
              head: 'Last line',
              width: '84px',
              isNumber: true,
              cell: (source) => <Time ms={source.counters?.health?.last_received_ms} relative />,
            },
          ]}
        />
        {(sources ?? []).length === 0 && (
          <p className="muted" style={{ padding: 16 }}>
            None in this process: collectors elsewhere send to it.
          </p>
        )}
      </Panel>
      <Panel title="Responders" flush>
        <SmallTable
          label="Responders"
          rows={responders ?? []}
          rowKey={(one) => one.gateway}
          columns={[
            { id: 'gateway', head: 'Gateway', width: 'minmax(0, 1fr)', cell: (one) => one.gateway },
            {
              id: 'state',
              head: 'State',
              width: 'minmax(0, 1.6fr)',
              cell: (one) =>
                (one.failure ?? one.guard_problem) ? (
                  <span className="bad" title={one.failure ?? one.guard_problem ?? ''}>
                    {one.failure ?? one.guard_problem}
                  </span>
                ) : (
                  <span className="ok">in step</span>
                ),
            },
            { id: 'held', head: 'Plugins held', width: '96px', isNumber: true, cell: (one) => count(one.own_plugins) },
            { id: 'written', head: 'Written', width: '84px', isNumber: true, cell: (one) => count(one.written) },
            { id: 'deleted', head: 'Taken away', width: '84px', isNumber: true, cell: (one) => count(one.deleted) },
            { id: 'repaired', head: 'Repaired', width: '84px', isNumber: true, cell: (one) => count(one.repaired) },
            {
              id: 'looked',
              head: 'Looked',
              width: '84px',
              isNumber: true,
              cell: (one) => <Time ms={one.listed_ms} relative />,
            },
          ]}
        />
        {(responders ?? []).length === 0 && (
          <p className="muted" style={{ padding: 16 }}>
            No gateway in this process has an Admin API configured.
          </p>
        )}
      </Panel>
      <Panel title="Detectors" flush>
        <SmallTable
          label="Detectors"
          rows={platform?.analysis?.detectors ?? []}
          rowKey={(detector) => detector.name}
          columns={[
            { id: 'name', head: 'Detector', width: 'minmax(0, 1fr)', cell: (detector) => detector.name },
            {
              id: 'state',
              head: 'State',
              width: 'minmax(0, 1fr)',
              cell: (detector) =>
                detector.failure ? (
                  <span className="bad" title={detector.failure}>
                    {detector.failure}
                  </span>
                ) : (
                  <span className="ok">in use</span>
                ),
            },
            {
              id: 'profiles',
              head: 'Profiles',
              width: '96px',
              isNumber: true,
              cell: (detector) => count(detector.counters?.['profiles']),
            },
            {
              id: 'memory',
              head: 'Memory',
              width: '96px',
              isNumber: true,
              cell: (detector) => bytes(detector.memory_bytes),
            },
          ]}
        />
      </Panel>
      {enrichment && <Enrichment enrichment={enrichment} />}
      <div className="overview">
        <LakeAndLog platform={platform} />
        <Panel title="This outrider">
          <Facts
            facts={[
              ['Version', version],
              ['Installation', <code key="i">{installation}</code>],
            ]}
          />
        </Panel>
      </div>
    </div>
  );
}

function Notices() {
  const notices = useQuery({
    queryKey: ['now', 'notices', 'newest'],
    queryFn: ({ signal }) => got(api.GET('/api/v1/notices', { params: { query: { limit: 20 } }, signal })),
  });
  const items = notices.data?.items ?? [];
  return (
    <Panel title="Notices" flush after={<span className="faint">open ones and the newest closed ones</span>}>
      {notices.error && <Trouble error={notices.error} />}
      {notices.data && items.length === 0 && (
        <Empty title="Nothing was wrong so far.">
          <p>What goes wrong with outrider itself is noticed here, with what to do about it.</p>
        </Empty>
      )}
      <ul className="plain">
        {items.map((notice) => (
          <NoticeRow key={notice.id} notice={notice} />
        ))}
      </ul>
    </Panel>
  );
}
