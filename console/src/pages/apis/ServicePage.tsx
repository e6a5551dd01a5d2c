// One service: what is behind it in numbers, its document as it was seen, and how that differs from the one of its owner.
import { Button } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { ApiRow } from '../../api/types';
import { useAddress } from '../../parts/address';
import { Empty, Page, Time, Trouble, Waiting } from '../../parts/basics';
import { saveFile } from '../../parts/saving';
import { count, counted, short } from '../../parts/words';
import { ClassesOf } from '../posture/ClassesOf';
import { Risk } from '../posture/Risk';
import { WeaknessesOf } from '../posture/WeaknessesOf';
import { Decided } from './Decided';
import { OwnersDocument } from './Document';
import { Drifts } from './Drifts';
import { fileName, isOf, keyIn, nameOf, type ServiceKey, useApis, useDrift } from './service';

const UNDER = { to: '/apis/services', name: 'Services' };

export default function ServicePage() {
  const [query] = useAddress();
  const key = keyIn(query);
  const apis = useApis();
  if (!apis.data) return <Waiting title="Service" of={apis} />;
  const row = apis.data.items.find((one) => isOf(key, one));
  if (!row) {
    return (
      <Page title="Service" under={UNDER}>
        <Empty title="Nothing was seen of such a service.">
          <p>The address may be mistyped, or none of its endpoints is left.</p>
          <Link to="/apis/services">Show all services</Link>
        </Empty>
      </Page>
    );
  }
  return <OneService key={JSON.stringify(key)} row={row} all={apis.data.items} />;
}

async function exported(key: ServiceKey, name: string): Promise<void> {
  const document = await got(api.GET('/api/v1/apis/openapi', { params: { query: key } }));
  saveFile(new Blob([`${JSON.stringify(document, null, 2)}\n`], { type: 'application/json' }), name);
}

function OneService({ row, all }: { row: ApiRow; all: ApiRow[] }) {
  const key: ServiceKey = { gateway: row.gateway, workspace: row.workspace, service: row.service };
  const place = { gateway: row.gateway, service: row.service };
  const drift = useDrift(key);
  const exporting = useMutation({ mutationFn: () => exported(key, fileName(row)) });
  const differences = drift.data?.items;
  // Without a document nothing is compared where the gateway's routes fit.
  const isCompared = drift.data?.has_document || (differences?.length ?? 0) > 0;
  const grave = differences?.filter(({ severity }) => severity !== 'info').length ?? 0;
  const figures: [string, React.ReactNode, string?][] = [
    ['Endpoints', count(row.endpoints)],
    ['Calls', short(row.calls), count(row.calls)],
    ['Documented', row.document ? counted(row.document.operations, 'operation') : '–'],
    [
      'Differences',
      <span key="d" className={grave > 0 ? 'warn' : undefined}>
        {isCompared ? count(differences?.length) : '–'}
      </span>,
      isCompared ? `${count(grave)} of them are more than information` : undefined,
    ],
    ['First seen', <Time key="f" ms={row.first_seen_ms} relative />],
    ['Last seen', <Time key="l" ms={row.last_seen_ms} relative />],
  ];
  return (
    <Page
      title={nameOf(row)}
      under={UNDER}
      after={
        <>
          <span className="faint cut" title={`${row.service}${row.workspace && `\nworkspace ${row.workspace}`}`}>
            at {row.gateway}
          </span>
          <div className="spread" />
          <Link to={`/apis?service=${encodeURIComponent(row.service_name)}`}>Its endpoints</Link>
          <Button
            size="xs"
            variant="default"
            leftSection={<IconDownload size={14} />}
            loading={exporting.isPending}
            onClick={() => exporting.mutate()}
          >
            Export OpenAPI
          </Button>
        </>
      }
    >
      <div className="stack" style={{ gap: 16 }}>
        {exporting.error && <Trouble error={exporting.error} />}
        <div className="figures">
          {figures.map(([name, value, title]) => (
            <div key={name} title={title}>
              <div className="faint">{name}</div>
              <div className="figure number">{value}</div>
            </div>
          ))}
        </div>
        <div className="service-risk">
          <Risk risk={row.risk} place={place} />
          <div className="stack" style={{ gap: 16 }}>
            <WeaknessesOf place={place} />
            <ClassesOf gateway={row.gateway} service={row.service} />
          </div>
        </div>
        <div className="service-two">
          <OwnersDocument row={row} all={all} warnings={drift.data?.warnings ?? []} />
          <Decided of={key} />
        </div>
        <Drifts row={row} all={all} found={drift} />
      </div>
    </Page>
  );
}
