import { useQuery } from '@tanstack/react-query';
import { IconTable } from '@tabler/icons-react';

import { schemaOfLake } from './schema';
import { Loading, Trouble } from '../../parts/basics';

/** The tables, each with its columns; a name that is chosen goes into the statement. */
export function Tables({ insert }: { insert: (name: string) => void }) {
  const schema = useQuery(schemaOfLake);
  return (
    <aside className="tables" aria-label="Tables">
      {schema.isPending && <Loading lines={6} />}
      {schema.error && <Trouble error={schema.error} />}
      {(schema.data?.tables ?? []).map((table) => (
        <details key={table.name}>
          <summary>
            <IconTable size={14} aria-hidden="true" />
            <code className="spread">{table.name}</code>
            <span className="faint number">{table.columns.length}</span>
          </summary>
          <ul className="plain">
            {table.columns.map((column) => (
              <li key={column.name}>
                <button
                  type="button"
                  className="link-button cut"
                  onClick={() => insert(column.name)}
                  title={`Insert ${column.name}`}
                >
                  <code>{column.name}</code>
                </button>
                <span className="faint">{column.type}</span>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </aside>
  );
}
