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

/** Since when there are calls and how many days are kept, in as few words as may be; undefined where nothing is known of it. */
export function keptShortly(platform: Status['platform']): string | undefined {
  const oldest = platform?.progress?.lake_oldest_day;
  const retention = platform?.lake_retention;
  const most =
    retention && (retention.days ? `keeps ${retention.days} d` : retention.bytes_max ? 'kept by size' : 'keeps all');
  return [oldest && `since ${oldest}`, most].filter(Boolean).join(' · ') || undefined;
}
