// A filter that one chooses. It is in the address under its name.
import { Select, type SelectProps } from '@mantine/core';

import { useAddress } from './address';

interface Props extends Pick<SelectProps, 'data' | 'searchable'> {
  label: string;
  name: string;
  /** What it says where nothing is chosen. */
  any: string;
  /** What the page makes of the address. */
  value: string | null | undefined;
  width?: number;
}

export function Choice({ label, name, any, value, width = 140, data, searchable }: Props) {
  const [, change] = useAddress();
  return (
    <Select
      size="xs"
      w={width}
      clearable
      searchable={searchable}
      placeholder={any}
      aria-label={label}
      value={value ?? null}
      data={data}
      onChange={(chosen) => change({ [name]: chosen })}
    />
  );
}
