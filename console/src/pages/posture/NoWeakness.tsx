// Why nothing is listed, and what comes next; and what cannot be told as long as a gateway's configuration is not known.
import { Link } from 'react-router';

import type { CheckRow } from '../../api/types';
import { Command, Empty } from '../../parts/basics';
import { FirstSteps } from '../../parts/FirstSteps';
import { useApis } from '../apis/service';
import { isFiltered, type WeaknessFilter } from './filter';
import { useGateways } from './reading';
import { STANDING_WORDS } from './weakness';

interface Props {
  filter: WeaknessFilter;
  checks: CheckRow[];
  /** There are others, in other states. */
  hasAny: boolean;
}

export function NoWeakness({ filter, checks, hasAny }: Props) {
  const apis = useApis();
  if (isFiltered(filter)) {
    return (
      <Empty title="No weakness fits these filters.">
        <Link to="/posture?state=all">Show all weaknesses</Link>
      </Empty>
    );
  }
  if (apis.data?.items.length === 0) return <FirstSteps />;
  if (filter.state && (hasAny || filter.state.join() !== 'open')) {
    const words = filter.state.map((one) => STANDING_WORDS[one].toLowerCase()).join(' or ');
    return (
      <Empty title={`Nothing is ${words}.`}>
        <p>
          <Link to="/posture?state=all">Show all weaknesses</Link>
        </p>
      </Empty>
    );
  }
  return (
    <div>
      <Empty title="Nothing weak is known.">
        <p>
          {checks.length > 0 ? `${checks.length} checks look` : 'Checks look'} at each service: who gets in, what data
          goes where, and what the gateway’s configuration leaves open. One that looks at traffic says nothing before an
          endpoint had enough calls. <Link to="/posture/checks">What is checked</Link>, also in a terminal:
        </p>
        <Command>outrider posture checks</Command>
      </Empty>
      <NotRead />
    </div>
  );
}

/** Gateways of which too little is known for some of the checks, as a line above a list or with what to do. */
export function NotRead({ isLine = false }: { isLine?: boolean }) {
  const known = useGateways().data?.items;
  const apis = useApis().data?.items;
  if (!known || !apis) return null;
  const names = new Set(known.map(({ gateway }) => gateway));
  const unknown = [...new Set(apis.map(({ gateway }) => gateway))].filter((name) => !names.has(name));
  const cut = known.filter(({ newest }) => newest.left_out.length > 0).map(({ gateway }) => gateway);
  if (unknown.length > 0) {
    const title = `Nothing is known of how ${unknown.join(', ')} is configured.`;
    const so = 'So plugins, routes and consumers that nobody uses are not checked there.';
    if (isLine) {
      return (
        <p className="not-read" role="note">
          <span className="cut">
            {title} {so}
          </span>
          <Link to="/settings/gateways">How to have it read</Link>
        </p>
      );
    }
    return (
      <Empty title={title}>
        <p>{so} A responder reads the configuration from the Admin API, and needs no right to write for that:</p>
        <Command>{`[[gateways]]\nname = "${unknown[0]!}"\nadmin_url = "http://localhost:8001"`}</Command>
        <Command>outrider doctor --config outrider.toml</Command>
      </Empty>
    );
  }
  if (cut.length === 0) return null;
  return (
    <p className="not-read" role="note">
      <span className="cut">
        The configuration of {cut.join(', ')} was not read whole: nothing is said there that rests on what is missing.
      </span>
      <Link to="/settings/gateways">What was left out</Link>
    </p>
  );
}
