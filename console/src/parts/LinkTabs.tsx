// Lists that stand beside each other, each at an address of its own.
import { Link } from 'react-router';

export interface LinkTab<Id extends string> {
  id: Id;
  to: string;
  words: string;
}

export function LinkTabs<Id extends string>({ tabs, of }: { tabs: readonly LinkTab<Id>[]; of: Id }) {
  return (
    <nav className="tabs" aria-label="What is listed">
      {tabs.map(({ id, to, words }) => (
        <Link key={id} to={to} className={id === of ? 'active' : undefined} aria-current={id === of || undefined}>
          {words}
        </Link>
      ))}
    </nav>
  );
}
