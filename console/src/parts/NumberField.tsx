// A field for a number, as the browser has it: what is typed stands there until it is left, and a form is not sent with what is no number
// of the range.
import { TextInput, type TextInputProps } from '@mantine/core';
import { useState } from 'react';

interface Props extends Omit<TextInputProps, 'value' | 'onChange' | 'type'> {
  value: number | null;
  /** Null says that nothing stands there. Where a number has to, it is not told so. */
  change: (value: number | null) => void;
}

export function NumberField({ value, change, ...field }: Props) {
  const [typed, setTyped] = useState<string>();
  const type = (input: HTMLInputElement) => {
    setTyped(input.value);
    // A browser has no value of a text that is no number.
    if (input.validity.badInput) return;
    const next = input.value === '' ? null : Number(input.value);
    if (next !== null || !field.required) change(next);
  };
  return (
    <TextInput
      {...field}
      type="number"
      withAsterisk={false}
      value={typed ?? value ?? ''}
      onChange={(event) => type(event.currentTarget)}
      onBlur={() => setTyped(undefined)}
    />
  );
}
