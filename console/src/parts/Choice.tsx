// A filter that one chooses. It is in the address under its name.
import { Select, type SelectProps } from '@mantine/core';

import { useAddress } from './address';

/** What may be chosen, and what the address says although it may not be there any more. */
export function withChosen(values: string[], chosen: string | null | undefined): string[] {
  return chosen && !values.includes(chosen) ? [chosen, ...values] : values;
}

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
      nothingFoundMessage={searchable && 'There is none.'}
      placeholder={any}
      aria-label={label}
      value={value ?? null}
      data={data}
      onChange={(chosen) => change({ [name]: chosen })}
    />
  );
}
