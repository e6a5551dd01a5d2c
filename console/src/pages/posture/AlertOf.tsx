// The alert that a weakness opened, where it was grave enough for one.
import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';

import { api, got } from '../../api/client';
import type { WeaknessRow } from '../../api/types';
import { AlertStateTag } from '../../parts/basics';
import { alertEntity } from './weakness';

export function AlertOf({ weakness }: { weakness: WeaknessRow }) {
  const query = { detector: `posture:${weakness.check}`, entity: alertEntity(weakness), limit: 20 };
  const found = useQuery({
    queryKey: ['alerts', 'of weakness', query, weakness.state],
    queryFn: ({ signal }) => got(api.GET('/api/v1/alerts', { params: { query }, signal })),
  });
  // Names and ids are unique at one gateway alone.
  const alert = found.data?.items.find(({ entity }) => entity.gateway === weakness.gateway);
  if (!alert) return <span className="faint">{found.isPending ? '…' : 'none'}</span>;
  return (
    <span className="row wraps">
      <Link to={`/alerts/${alert.id}`}>{alert.id}</Link>
      <AlertStateTag state={alert.state} />
    </span>
  );
}
