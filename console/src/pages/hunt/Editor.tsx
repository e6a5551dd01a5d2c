// A field for a statement that completes the names of tables, columns and words of SQL.
import { type KeyboardEvent, useRef, useState } from 'react';

import { complete, useSchema } from './schema';

export function Editor({
  statement,
  change,
  run,
}: {
  statement: string;
  change: (statement: string) => void;
  run: () => void;
}) {
  const field = useRef<HTMLTextAreaElement>(null);
  const schema = useSchema();
  const [choices, setChoices] = useState<string[]>([]);
  const [at, setAt] = useState(0);
  const look = (text: string, caret: number) => {
    setChoices(complete(text.slice(0, caret), schema.data ?? []));
    setAt(0);
  };
  const take = (choice: string) => {
    const caret = field.current?.selectionStart ?? statement.length;
    const before = statement.slice(0, caret).replace(/[\w]*$/, choice);
    change(before + statement.slice(caret));
    setChoices([]);
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(before.length, before.length);
    });
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      setChoices([]);
      run();
    } else if (choices.length > 0) {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step !== undefined) {
        event.preventDefault();
        setAt((before) => (before + step + choices.length) % choices.length);
      } else if (event.key === 'Tab' || event.key === 'Enter') {
        event.preventDefault();
        take(choices[at]!);
      } else if (event.key === 'Escape') {
        setChoices([]);
      }
    }
  };
  return (
    <div className="editor">
      <textarea
        ref={field}
        aria-label="SQL statement"
        aria-autocomplete="list"
        aria-controls={choices.length > 0 ? 'editor-choices' : undefined}
        spellCheck={false}
        rows={Math.min(Math.max(statement.split('\n').length + 1, 6), 16)}
        value={statement}
        onChange={(event) => {
          change(event.currentTarget.value);
          look(event.currentTarget.value, event.currentTarget.selectionStart);
        }}
        onBlur={() => setTimeout(() => setChoices([]), 150)}
        onKeyDown={press}
      />
      {choices.length > 0 && (
        <ul id="editor-choices" className="editor-choices" role="listbox" aria-label="Completions">
          {choices.map((choice, index) => (
            <li
              key={choice}
              role="option"
              aria-selected={index === at}
              className={index === at ? 'active' : ''}
              onMouseDown={() => take(choice)}
            >
              <code>{choice}</code>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
