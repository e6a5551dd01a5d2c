// What is weak, what data goes where, and what is checked.
import { LinkTabs } from '../../parts/LinkTabs';

const TABS = [
  { id: 'weaknesses', to: '/posture', words: 'Weaknesses' },
  { id: 'data', to: '/posture/data', words: 'Data classes' },
  { id: 'checks', to: '/posture/checks', words: 'Checks' },
] as const;

export function PostureTabs({ of }: { of: (typeof TABS)[number]['id'] }) {
  return <LinkTabs tabs={TABS} of={of} />;
}
