// Goes on to a hunt that asks what was asked here.
import { Button } from '@mantine/core';
import { Link } from 'react-router';

export function SaveAsHunt({ by, text }: { by: 'search' | 'sql'; text: string }) {
  return (
    <Button size="xs" variant="default" component={Link} to={`/hunt/saved/new?${by}=${encodeURIComponent(text)}`}>
      Save as a hunt
    </Button>
  );
}
