// The OWASP API Security Top 10 of 2023: what its ids are called, and where each is explained.

const TITLES = [
  'Broken Object Level Authorization',
  'Broken Authentication',
  'Broken Object Property Level Authorization',
  'Unrestricted Resource Consumption',
  'Broken Function Level Authorization',
  'Unrestricted Access to Sensitive Business Flows',
  'Server Side Request Forgery',
  'Security Misconfiguration',
  'Improper Inventory Management',
  'Unsafe Consumption of APIs',
];

const EDITION = 'https://owasp.org/API-Security/editions/2023/en';

/** From the first to the tenth. */
export const OWASP_IDS = TITLES.map((_, index) => `API${index + 1}:2023`);

/** What an id is called; undefined for one of another edition. */
export function owaspTitle(id: string): string | undefined {
  return TITLES[OWASP_IDS.indexOf(id)];
}

/** `API8 Security Misconfiguration`. */
export function owaspWords(id: string): string {
  const title = owaspTitle(id);
  return title ? `${id.split(':')[0]!} ${title}` : id;
}

export function owaspUrl(id: string): string | undefined {
  const title = owaspTitle(id);
  if (!title) return undefined;
  const number = (OWASP_IDS.indexOf(id) + 1).toString(16);
  return `${EDITION}/0xa${number}-${title.toLowerCase().replaceAll(' ', '-')}/`;
}
