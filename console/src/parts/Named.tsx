import { TextInput } from '@mantine/core';
import { useEffect, useRef } from 'react';

import type { NameTaken } from './naming';

interface Props {
  name: string;
  description: string;
  /** What it is for is shown there. */
  shown: string;
  /** It is known by its name already. */
  isSaved: boolean;
  /** Why it was not saved under this name. */
  trouble?: NameTaken;
  set: (part: { name?: string; description?: string }) => void;
}

/** What something that people save is called, and what it is for. */
export function Named({ name, description, shown, isSaved, trouble, set }: Props) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (trouble) field.current?.focus();
  }, [trouble]);
  return (
    <div className="row" style={{ alignItems: 'flex-start' }}>
      <TextInput
        ref={field}
        className="spread saved-name"
        errorProps={{ component: 'div' }}
        error={
          trouble && (
            <span role="alert">
              There is one of this name already, and saving would replace it.{' '}
              <button type="button" className="link-button" onClick={() => set({ name: trouble.free })}>
                Call it {trouble.free}
              </button>
            </span>
          )
        }
        label="Name"
        required
        disabled={isSaved}
        pattern="[a-z0-9_\-]+"
        description="a-z, 0-9, - and _"
        value={name}
        onChange={(event) => set({ name: event.currentTarget.value })}
      />
      <TextInput
        className="spread"
        label="What it is for"
        description={shown}
        value={description}
        onChange={(event) => set({ description: event.currentTarget.value })}
      />
    </div>
  );
}
