// Which states the list of alerts shows, as the address says it.
import { ALERT_STATES, type AlertState } from '../../api/types';
import { ALERT_STATE_WORDS } from '../../parts/words';

/** Those that somebody has to look at; what is shown where the address says nothing. */
const UNFINISHED: AlertState[] = ['open', 'acknowledged'];

/** Undefined stands for all of them. */
export function statesOf(said: string | null): AlertState[] | undefined {
  if (said === 'all') return undefined;
  const names = said?.split(',') ?? [];
  const states = ALERT_STATES.filter((one) => names.includes(one));
  if (states.length === 0) return UNFINISHED;
  return states.length === ALERT_STATES.length ? undefined : states;
}

interface Tab {
  words: string;
  /** What the address says then. */
  state: string | null;
  isShown: boolean;
}

/** A tab for each, and one for several that no tab stands for. */
export function tabsOf(shown: AlertState[] | undefined): Tab[] {
  const is = (states: AlertState[] | undefined) => shown?.join() === states?.join();
  const tabs = [
    { words: 'Unfinished', state: null, isShown: is(UNFINISHED) },
    ...ALERT_STATES.map((one) => ({ words: ALERT_STATE_WORDS[one], state: one, isShown: is([one]) })),
    { words: 'All', state: 'all', isShown: is(undefined) },
  ];
  if (shown && !tabs.some((tab) => tab.isShown)) {
    tabs.push({
      words: shown.map((one) => ALERT_STATE_WORDS[one]).join(' + '),
      state: shown.join(),
      isShown: true,
    });
  }
  return tabs;
}
