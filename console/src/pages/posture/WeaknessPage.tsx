// One weakness: what it is in a sentence, what it rests on, what to do, and how it went on.
import { useState } from 'react';
import { Link, useParams } from 'react-router';

import type { CheckRow, WeaknessRow } from '../../api/types';
import { Copy, type Fact, Facts, Page, Panel, SeverityTag, Time, Waiting } from '../../parts/basics';
import { CheckItYourself } from '../../parts/CheckItYourself';
import { Words } from '../../parts/Prose';
import { counted } from '../../parts/words';
import { servicePath } from '../apis/service';
import { AlertOf } from './AlertOf';
import { CheckPageText } from './CheckPage';
import { ExceptionOf, ExceptionButtons } from './Exception';
import { useChecks, useWeakness } from './reading';
import { EndpointLink, OwaspLink, StandingTag, SubjectLink, subjectWords } from './tags';
import { checkPath, checkWords, placeOf } from './weakness';

/** So many endpoints are listed at first: each is asked what it is called. */
const ENDPOINTS_SHOWN = 12;

export function WeaknessPage() {
  const { id = '' } = useParams();
  const found = useWeakness(id);
  const checks = useChecks().data?.items;
  const weakness = found.data;
  if (!weakness) return <Waiting title="Weakness" of={found} />;
  const check = checks?.find(({ name }) => name === weakness.check);
  return (
    <Page
      key={weakness.id}
      title={`${checkWords(weakness.check, checks)} · ${placeOf(weakness)}`}
      under={{ to: '/posture', name: 'Posture' }}
      before={<SeverityTag severity={weakness.severity} />}
      after={
        <>
          <StandingTag state={weakness.state} />
          <div className="spread" />
          <ExceptionButtons weakness={weakness} />
        </>
      }
    >
      <div className="alert">
        <div className="stack">
          <p className="story">
            <Words of={weakness.sentence} />
          </p>
          <WhatToDo weakness={weakness} />
          <Panel title="What it rests on">
            <Facts facts={weakness.evidence.map(({ name, value }) => [name, value])} />
          </Panel>
          <Endpoints ids={weakness.endpoints} />
          {weakness.query && (
            <CheckItYourself
              query={weakness.query}
              words="This statement shows it again, from the calls in the lake."
            />
          )}
          {check && <AboutCheck check={check} />}
        </div>
        <div className="stack">
          <ExceptionOf weakness={weakness} />
          <About weakness={weakness} />
        </div>
      </div>
    </Page>
  );
}

function WhatToDo({ weakness: { fix } }: { weakness: WeaknessRow }) {
  return (
    <Panel title="What to do" after={<Copy value={fix} label="Copy what to do" />}>
      <p className="wrap fix">
        <Words of={fix} />
      </p>
    </Panel>
  );
}

function Endpoints({ ids }: { ids: string[] }) {
  const [areAllShown, showAll] = useState(false);
  if (ids.length === 0) return null;
  const shown = areAllShown ? ids : ids.slice(0, ENDPOINTS_SHOWN);
  return (
    <Panel title="Endpoints" after={<span className="faint">{counted(ids.length, 'endpoint')}</span>}>
      <ul className="plain linked">
        {shown.map((id) => (
          <li key={id}>
            <EndpointLink id={id} />
          </li>
        ))}
      </ul>
      {shown.length < ids.length && (
        <button type="button" className="link-button link" onClick={() => showAll(true)}>
          Show all {ids.length}
        </button>
      )}
    </Panel>
  );
}

function AboutCheck({ check }: { check: CheckRow }) {
  return (
    <Panel title={`About this check`} after={<Link to={checkPath(check.name)}>Its page</Link>}>
      <details className="about-check">
        <summary>{check.summary}</summary>
        <CheckPageText check={check} />
      </details>
    </Panel>
  );
}

function About({ weakness }: { weakness: WeaknessRow }) {
  const { gateway, workspace, service, service_name, subject } = weakness;
  const facts: Fact[] = [
    [subjectWords(subject), <SubjectLink key="w" of={subject} serviceName={service_name} />],
    ...(service && !('service' in subject)
      ? ([
          [
            'Service',
            <Link key="s" to={servicePath({ gateway, workspace, service })}>
              {service_name || service}
            </Link>,
          ],
        ] as Fact[])
      : []),
    ['Gateway', gateway],
    ['OWASP', <OwaspLink key="o" id={weakness.owasp} />],
    ['Alert', <AlertOf key="a" weakness={weakness} />],
    ['Opened', <Time key="p" ms={weakness.opened_ms} />],
    ['Seen last', <Time key="l" ms={weakness.last_seen_ms} />],
    ...(weakness.fixed_ms === null ? [] : ([['Fixed', <Time key="f" ms={weakness.fixed_ms} />]] as Fact[])),
    ['Came back', weakness.reopened === 0 ? 'never' : counted(weakness.reopened, 'time')],
    ['Id', <code key="i">{weakness.id}</code>],
  ];
  return (
    <Panel title="Whom and what">
      <Facts facts={facts} />
    </Panel>
  );
}
