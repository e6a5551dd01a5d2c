// How a part of a name becomes a name.

/** The names that go on with what was typed, the shortest first; a kind before a colon need not be typed. */
export function completed(typed: string, names: (string | null | undefined)[]): string[] {
  const begin = typed.trim().toLowerCase();
  const goesOn = (name: string) => name.startsWith(begin) || name.slice(name.indexOf(':') + 1).startsWith(begin);
  const there = new Set(names.filter((name): name is string => Boolean(name)));
  return [...there]
    .filter((name) => goesOn(name.toLowerCase()))
    .sort((one, other) => one.length - other.length || one.localeCompare(other));
}

/** What somebody means who is done with typing: the only name that goes on with it, or else what was typed. */
export function chosenName(typed: string, names: string[]): string {
  const said = typed.trim();
  return said !== '' && names.length === 1 ? names[0]! : said;
}
