// What tests of posture begin with.
import type { CheckRow, RiskScore, WeaknessRow } from '../../api/types';

export const WEAKNESS: WeaknessRow = {
  id: 'wk_1',
  gateway: 'kong',
  workspace: 'w',
  service: 's-shop',
  service_name: 'shop',
  check: 'unauthenticated_access',
  owasp: 'API2:2023',
  subject: { endpoint: 'ep_1' },
  severity: 'high',
  state: 'open',
  opened_ms: 1_700_000_000_000,
  last_seen_ms: 1_700_000_600_000,
  fixed_ms: null,
  reopened: 0,
  sentence: 'GET /export answered 40 calls without authentication.',
  evidence: [{ name: 'calls without authentication answered 2xx', value: '40' }],
  query: "SELECT count(*) AS calls FROM calls WHERE gateway = 'kong'",
  fix: '`POST /routes/r-shop/plugins` with `name=key-auth`',
  endpoints: ['ep_1'],
};

export const EXCEPTED: WeaknessRow = {
  ...WEAKNESS,
  id: 'wk_2',
  state: { excepted: { until_ms: 1_900_000_000_000, reason: 'the partner moves in May', by: 'person:anna' } },
};

function check(name: string, title: string, owasp: string): CheckRow {
  const page = `# ${title}\n\nIn a sentence.\n\n## Why it matters\n\nSee [the other](../plain_http/README.md), \`key-auth\`.\n`;
  return { name, title, summary: 'In a sentence.', owasp, severity: 'high', fix: 'Do `this`.', page };
}

export const CHECKS: CheckRow[] = [
  check('unauthenticated_access', 'Open to anybody', 'API2:2023'),
  check('mixed_authentication', 'Mixed authentication', 'API2:2023'),
  check('plain_http', 'Plain HTTP', 'API8:2023'),
];

export const RISK: RiskScore = {
  subject: { endpoint: 'ep_1' },
  score: 7.4,
  factors: [
    { name: 'plain_http', points: 4, sentence: 'shop answers over plain HTTP.' },
    { name: 'unauthenticated_access', points: 2.5, sentence: '40 calls without authentication.' },
    { name: 'data_personal', points: 0.9, sentence: 'it carries email' },
  ],
  moves: [
    { at_ms: 1_700_000_000_000, from: 0, to: 6.1, because: 'shop answers over plain HTTP.' },
    { at_ms: 1_700_000_100_000, from: 6.1, to: 7.4, because: '40 calls without authentication.' },
  ],
};
