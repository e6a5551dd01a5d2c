// What a statement may name, with what it means: a name that is chosen is written into the statement.
import { CloseButton, TextInput } from '@mantine/core';
import { IconMathFunction, IconTable } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useDeferredValue, useState } from 'react';

import type { FunctionWords, TableWords } from '../../api/types';
import { Loading, Trouble } from '../../parts/basics';
import { found, kindOf, schemaOfLake } from './schema';

/** Writes a text where the caret is, and leaves the caret so far before its end. */
export type Insert = (text: string, before?: number) => void;

export function Tables({ insert }: { insert: Insert }) {
  const schema = useQuery(schemaOfLake);
  const [typed, setTyped] = useState('');
  const asked = useDeferredValue(typed).trim();
  const shown = schema.data && found(schema.data, asked);
  const isFinding = asked !== '';
  return (
    <aside className="tables" aria-label="Tables">
      {schema.isPending && <Loading lines={6} />}
      {schema.error && <Trouble error={schema.error} again={() => void schema.refetch()} />}
      {shown && (
        <>
          <TextInput
            size="xs"
            aria-label="Find in the tables"
            placeholder="Find a column"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            rightSection={typed && <CloseButton size="xs" aria-label="Clear" onClick={() => setTyped('')} />}
          />
          {shown.tables.map((table) => (
            <Table key={table.name} table={table} isOpen={isFinding} insert={insert} />
          ))}
          {shown.functions.length > 0 && (
            <Functions functions={shown.functions} isOpen={isFinding && shown.tables.length === 0} insert={insert} />
          )}
          {shown.tables.length + shown.functions.length === 0 && (
            <p className="muted" role={isFinding ? 'status' : undefined}>
              {isFinding ? 'Nothing is called so, or means that.' : 'The lake has no table.'}
            </p>
          )}
        </>
      )}
    </aside>
  );
}

function Table({ table, isOpen, insert }: { table: TableWords; isOpen: boolean; insert: Insert }) {
  const { name, words, columns } = table;
  return (
    <Fold name={name} icon={<IconTable size={14} aria-hidden="true" />} count={columns.length} isOpen={isOpen}>
      <p className="faint">{words}</p>
      <ul className="plain">
        {columns.map((column) => (
          <Entry
            key={column.name}
            name={column.name}
            kind={kindOf(column)}
            words={column.words}
            insert={() => insert(column.name)}
          />
        ))}
      </ul>
    </Fold>
  );
}

function Functions({ functions, isOpen, insert }: { functions: FunctionWords[]; isOpen: boolean; insert: Insert }) {
  return (
    <Fold
      name="functions"
      icon={<IconMathFunction size={14} aria-hidden="true" />}
      count={functions.length}
      isOpen={isOpen}
    >
      <ul className="plain">
        {functions.map(({ name, call, words }) => (
          <Entry key={name} name={name} title={call} words={words} insert={() => insert(`${name}()`, 1)} />
        ))}
      </ul>
    </Fold>
  );
}

interface FoldProps {
  name: string;
  icon: ReactNode;
  count: number;
  isOpen: boolean;
  children: ReactNode;
}

function Fold({ name, icon, count, isOpen, children }: FoldProps) {
  // What is looked for is seen at once, and what was opened by hand is closed when that begins or ends.
  return (
    <details key={String(isOpen)} open={isOpen}>
      <summary>
        {icon}
        <code className="spread">{name}</code>
        <span className="faint number">{count}</span>
      </summary>
      {children}
    </details>
  );
}

interface EntryProps {
  name: string;
  title?: string;
  kind?: string;
  words: string;
  insert: () => void;
}

function Entry({ name, title = name, kind, words, insert }: EntryProps) {
  return (
    <li>
      <div className="row">
        <button type="button" className="link-button cut" onClick={insert} title={`Insert ${title}`}>
          <code>{name}</code>
        </button>
        <div className="spread" />
        {kind && <span className="faint">{kind}</span>}
      </div>
      <p className="faint">{words}</p>
    </li>
  );
}
