// How many weaknesses are open, by how bad they are and by what OWASP calls them. Each bar filters the list, and takes the filter away
// again.
import { type CheckRow, SEVERITIES } from '../../api/types';
import { useAddress } from '../../parts/address';
import { count, counted } from '../../parts/words';
import type { WeaknessFilter } from './filter';
import { OWASP_IDS, owaspWords } from './owasp';
import { useCounts } from './reading';
import { byOwasp } from './weakness';

const WORST_FIRST = SEVERITIES.toReversed();

export function Sums({ filter, checks }: { filter: WeaknessFilter; checks: CheckRow[] }) {
  const [query, change] = useAddress();
  const { severity_min, check, owasp, service, gateway, endpoint } = filter;
  const place = { service, gateway, endpoint };
  // A bar says what a list would have that is filtered by it in the place of the one that it is filtered by now.
  const severities = useCounts({ ...place, check, owasp }).data;
  const ids = useCounts({ ...place, severity_min }).data;
  const counts = ids ? byOwasp(ids, checks) : undefined;
  const shown = OWASP_IDS.filter((id) => checks.some((one) => one.owasp === id));
  const most = (of: (number | undefined)[]) => Math.max(1, ...of.map((one) => one ?? 0));
  const open = severities?.open_by_severity ?? {};
  const mostSevere = most(Object.values(open));
  const mostOfOwasp = most([...(counts?.values() ?? [])]);
  const toggle = (name: string, value: string) => change({ [name]: query.get(name) === value ? null : value });
  return (
    <div className="sums">
      <section aria-label="Open by severity">
        <h2>Open, by severity</h2>
        {WORST_FIRST.map((one) => (
          <Bar
            key={one}
            looks={one}
            words={one.charAt(0).toUpperCase() + one.slice(1)}
            title={`${counted(open[one] ?? 0, 'open weakness', 'open weaknesses')}; a click shows those that are ${one === 'critical' ? 'critical' : `${one} or worse`}`}
            number={severities && (open[one] ?? 0)}
            most={mostSevere}
            isTaken={severity_min === one}
            take={() => toggle('severity_min', one)}
          />
        ))}
      </section>
      <section aria-label="Open by OWASP id" className="sums-owasp">
        <h2>Open, by OWASP API Security Top 10</h2>
        <div>
          {shown.map((id) => (
            <Bar
              key={id}
              looks="owasp"
              words={owaspWords(id)}
              title={owaspWords(id)}
              number={counts?.get(id)}
              most={mostOfOwasp}
              isTaken={owasp === id}
              // A check belongs to one id.
              take={() => change({ check: null, owasp: query.get('owasp') === id ? null : id })}
            />
          ))}
        </div>
      </section>
    </div>
  );
}

interface BarProps {
  looks: string;
  words: string;
  title: string;
  number: number | undefined;
  most: number;
  isTaken: boolean;
  take: () => void;
}

function Bar({ looks, words, title, number, most, isTaken, take }: BarProps) {
  return (
    <button type="button" className={`sum ${looks}`} aria-pressed={isTaken} title={title} onClick={take}>
      <span className="cut">{words}</span>
      <span className="sum-track" aria-hidden="true">
        <span style={{ width: `${((number ?? 0) / most) * 100}%` }} />
      </span>
      <span className={number ? 'number' : 'number faint'}>{count(number)}</span>
    </button>
  );
}
