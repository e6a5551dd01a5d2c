// Which weaknesses a list shows, as its address says it.
import { SEVERITIES, type Severity, STANDINGS, type WeaknessStanding } from '../../api/types';
import { STANDING_WORDS } from './weakness';

export interface WeaknessFilter {
  state?: WeaknessStanding[];
  severity_min?: Severity;
  check?: string;
  owasp?: string;
  service?: string;
  gateway?: string;
  endpoint?: string;
  sort: 'severity' | 'opened';
}

/** Open ones where the address says nothing; undefined stands for all. */
function standingsOf(said: string | null): WeaknessStanding[] | undefined {
  if (said === 'all') return undefined;
  const names = said?.split(',') ?? [];
  const standings = STANDINGS.filter((one) => names.includes(one));
  if (standings.length === 0) return ['open'];
  return standings.length === STANDINGS.length ? undefined : standings;
}

export function filterIn(query: URLSearchParams): WeaknessFilter {
  const said = (name: string) => query.get(name) ?? undefined;
  return {
    state: standingsOf(query.get('state')),
    severity_min: SEVERITIES.find((one) => one === said('severity_min')),
    check: said('check'),
    owasp: said('owasp'),
    service: said('service'),
    gateway: said('gateway'),
    endpoint: said('endpoint'),
    sort: said('sort') === 'opened' ? 'opened' : 'severity',
  };
}

/** Whether something besides the state is filtered by. */
export function isFiltered({ severity_min, check, owasp, service, gateway, endpoint }: WeaknessFilter): boolean {
  return Boolean(severity_min ?? check ?? owasp ?? service ?? gateway ?? endpoint);
}

interface Tab {
  words: string;
  /** What the address says then. */
  state: string | null;
  isShown: boolean;
  /** How many there are. */
  count: number | undefined;
}

/** A tab for each state, one for all, and one for several that no tab stands for. */
export function tabsOf(shown: WeaknessStanding[] | undefined, byState: Record<string, number> | undefined): Tab[] {
  const countOf = (states: WeaknessStanding[]) =>
    byState && states.reduce((sum, state) => sum + (byState[state] ?? 0), 0);
  const tabs: Tab[] = [
    ...STANDINGS.map((one) => ({
      words: STANDING_WORDS[one],
      state: one === 'open' ? null : one,
      isShown: shown?.join() === one,
      count: countOf([one]),
    })),
    { words: 'All', state: 'all', isShown: shown === undefined, count: countOf(STANDINGS) },
  ];
  if (shown && !tabs.some((tab) => tab.isShown)) {
    const words = shown.map((one) => STANDING_WORDS[one]).join(' + ');
    tabs.push({ words, state: shown.join(), isShown: true, count: countOf(shown) });
  }
  return tabs;
}
