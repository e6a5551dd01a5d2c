import { TextInput } from '@mantine/core';

interface Props {
  name: string;
  description: string;
  /** What it is for is shown there. */
  shown: string;
  /** It is known by its name already. */
  isSaved: boolean;
  set: (part: { name?: string; description?: string }) => void;
}

/** What something that people save is called, and what it is for. */
export function Named({ name, description, shown, isSaved, set }: Props) {
  return (
    <div className="row" style={{ alignItems: 'flex-start' }}>
      <TextInput
        className="spread saved-name"
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
