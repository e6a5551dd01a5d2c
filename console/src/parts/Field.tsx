// A filter that one types. It is in the address under its name, once typing pauses.
import { CloseButton, TextInput } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';

import { useAddress } from './address';

const PAUSE_MS = 300;

export function Field({
  label,
  name,
  width = 150,
  isSearch,
}: {
  label: string;
  name: string;
  width?: number;
  isSearch?: boolean;
}) {
  const [query, change] = useAddress();
  const said = query.get(name) ?? '';
  const [typed, setTyped] = useState(said);
  const [known, setKnown] = useState(said);
  // The address may change by itself, such as when one goes back.
  if (known !== said) {
    setKnown(said);
    setTyped(said);
  }
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const type = (value: string) => {
    setTyped(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => change({ [name]: value.trim() }), PAUSE_MS);
  };
  return (
    <TextInput
      size="xs"
      w={width}
      placeholder={label}
      aria-label={label}
      value={typed}
      data-search={isSearch || undefined}
      onChange={(event) => type(event.currentTarget.value)}
      rightSection={typed && <CloseButton size="xs" aria-label={`Clear ${label}`} onClick={() => type('')} />}
    />
  );
}
