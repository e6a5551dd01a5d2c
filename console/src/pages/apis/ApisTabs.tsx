// The two lists of the APIs: of endpoints, and of the services that they are behind.
import { LinkTabs } from '../../parts/LinkTabs';

const TABS = [
  { id: 'endpoints', to: '/apis', words: 'Endpoints' },
  { id: 'services', to: '/apis/services', words: 'Services' },
] as const;

export function ApisTabs({ of }: { of: (typeof TABS)[number]['id'] }) {
  return <LinkTabs tabs={TABS} of={of} />;
}
