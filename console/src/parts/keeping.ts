// How much the lake keeps, in words.
import type { Retention, Status } from '../api/status';
import { bytes, counted } from './words';

/** What is asked for by the configuration. */
export function keptWords({ days, bytes_max: most }: Retention): string {
  const room = most ? `as many days as fit into ${bytes(most)}` : '';
  if (!days) return room || 'everything';
  const said = `${counted(days, 'day')} besides today`;
  return room ? `${said}, or ${room}` : said;
}

/** Since when there are calls and how long they are kept, in as few words as may be; what is not known is left out. */
export function keptShortly(platform: Status['platform']): [name: string, words: string][] {
  const oldest = platform?.progress?.lake_oldest_day;
  const retention = platform?.lake_retention;
  const most = retention && (retention.days ? `${retention.days} d` : retention.bytes_max ? 'by size' : 'all');
  return [
    ...(oldest ? [['calls since', oldest] as [string, string]] : []),
    ...(most ? [['calls kept', most] as [string, string]] : []),
  ];
}
