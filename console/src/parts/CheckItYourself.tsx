import type { ReactNode } from 'react';
import { Link } from 'react-router';

import { Panel } from './basics';

/** A statement that gives a number again, from the calls in the lake. */
export function CheckItYourself({ query, words, children }: { query: string; words: string; children?: ReactNode }) {
  return (
    <Panel
      title="Check it yourself"
      after={<Link to={`/hunt/sql?statement=${encodeURIComponent(query)}`}>Open in Hunt</Link>}
    >
      <div className="stack">
        <p className="muted">{words}</p>
        <pre className="sql">{query}</pre>
        {children}
      </div>
    </Panel>
  );
}
