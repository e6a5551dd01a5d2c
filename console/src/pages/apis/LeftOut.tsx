// What of a document was left out, each with its JSON pointer and why.
import type { ReactNode } from 'react';

import type { Schemas } from '../../api/client';
import { counted } from '../../parts/words';

/** So many of them are open at once. */
const OPEN_MAX = 5;

interface Props {
  warnings: Schemas['Warning'][];
  /** How many there are besides, which are not told. */
  more?: number;
  children: ReactNode;
}

export function LeftOut({ warnings, more = 0, children }: Props) {
  return (
    <details open={warnings.length <= OPEN_MAX}>
      <summary className="warn">{children}</summary>
      <ul className="plain warnings">
        {warnings.map(({ pointer, what }, index) => (
          <li key={index}>
            <code className="muted wrap">{pointer || '/'}</code>
            <span className="wrap">{what}</span>
          </li>
        ))}
      </ul>
      {more > 0 && <p className="faint">and {counted(more, 'other')}, not listed</p>}
    </details>
  );
}
