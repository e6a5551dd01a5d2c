// What is weak, what data goes where, and what is checked.
import { Link } from 'react-router';

const TABS = [
  { id: 'weaknesses', to: '/posture', words: 'Weaknesses' },
  { id: 'data', to: '/posture/data', words: 'Data classes' },
  { id: 'checks', to: '/posture/checks', words: 'Checks' },
] as const;

export function PostureTabs({ of }: { of: (typeof TABS)[number]['id'] }) {
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
