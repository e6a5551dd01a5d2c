// The page of a check: what it finds, why that matters, by which signals, and when it is wrong.
import { Link, useParams } from 'react-router';

import type { CheckRow } from '../../api/types';
import { Empty, type Fact, Facts, Page, Panel, SeverityTag, Waiting } from '../../parts/basics';
import { Prose, Words } from '../../parts/Prose';
import { count } from '../../parts/words';
import { useChecks, useCounts } from './reading';
import { OwaspLink } from './tags';
import { checkPath, posturePath } from './weakness';

const UNDER = { to: '/posture/checks', name: 'Checks' };

export function CheckPage() {
  const { name = '' } = useParams();
  const checks = useChecks();
  const counts = useCounts({ check: name });
  if (!checks.data) return <Waiting title="Check" of={checks} />;
  const check = checks.data.items.find((one) => one.name === name);
  if (!check) {
    return (
      <Page title="Check" under={UNDER}>
        <Empty title="There is no such check.">
          <Link to="/posture/checks">Show all checks</Link>
        </Empty>
      </Page>
    );
  }
  const facts: Fact[] = [
    ['As a rule', <SeverityTag key="s" severity={check.severity} />],
    ['OWASP', <OwaspLink key="o" id={check.owasp} />],
    [
      'Open',
      <Link key="n" to={posturePath({ check: name })}>
        {count(counts.data?.by_state['open'] ?? 0)}
      </Link>,
    ],
    ['What to do', <Words key="f" of={check.fix} />],
    ['Name', <code key="i">{check.name}</code>],
  ];
  return (
    <Page title={check.title} under={UNDER}>
      <div className="alert">
        <Panel title={check.summary}>
          <CheckPageText check={check} />
        </Panel>
        <Panel title="In short">
          <Facts facts={facts} />
        </Panel>
      </div>
    </Page>
  );
}

const OTHER_CHECK = /^\.\.\/([a-z_]+)\/README\.md$/;

/** Its page without what is said above it: the title and the summary. */
export function CheckPageText({ check: { page, summary } }: { check: CheckRow }) {
  const leads = (link: string) => {
    const [, other] = OTHER_CHECK.exec(link) ?? [];
    return other && checkPath(other);
  };
  return <Prose page={page.replace(`${summary}\n`, '')} leads={leads} />;
}
