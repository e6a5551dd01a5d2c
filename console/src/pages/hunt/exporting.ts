// An answer as a file. The browser keeps what comes and offers it for saving.
import { refusalOf } from '../../api/client';
import { saveFile } from '../../parts/saving';

export const FORMATS = ['csv', 'json', 'parquet'] as const;
const ENDINGS = { csv: 'csv', json: 'jsonl', parquet: 'parquet' };

export async function exportAs(statement: string, format: (typeof FORMATS)[number]): Promise<void> {
  const answer = await fetch('/api/v1/query/export', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ statement, format }),
  });
  if (!answer.ok) throw refusalOf(answer.status, await answer.json().catch(() => undefined));
  const at = new Date().toISOString().slice(0, 19).replaceAll(':', '');
  saveFile(await answer.blob(), `outrider-${at}.${ENDINGS[format]}`);
}
