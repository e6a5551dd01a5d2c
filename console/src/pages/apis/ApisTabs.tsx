// The two lists of the APIs: of endpoints, and of the services that they are behind.
import { Link } from 'react-router';

const TABS = [
  { id: 'endpoints', to: '/apis', words: 'Endpoints' },
  { id: 'services', to: '/apis/services', words: 'Services' },
] as const;

export function ApisTabs({ of }: { of: (typeof TABS)[number]['id'] }) {
  return (
    <nav className="tabs" aria-label="What is listed">
      {TABS.map(({ id, to, words }) => (
        <Link key={id} to={to} className={id === of ? 'active' : undefined} aria-current={id === of || undefined}>
          {words}
        </Link>
      ))}
    </nav>
  );
}
