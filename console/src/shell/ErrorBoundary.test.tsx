import { afterEach, beforeEach, expect, it, vi } from 'vitest';

import { stage } from '../testing';
import { ErrorBoundary } from './ErrorBoundary';

const on = stage();
// React says there, too, what broke.
beforeEach(() => void vi.spyOn(console, 'error').mockReturnValue());
afterEach(() => vi.restoreAllMocks());

function Page({ isBroken }: { isBroken: boolean }) {
  if (isBroken) throw new Error('this page is broken');
  return 'a page that works';
}

it('keeps the trouble of one page from the next', () => {
  on.draw(
    <ErrorBoundary path="/alerts">
      <Page isBroken />
    </ErrorBoundary>,
  );
  expect(on.host.textContent).toContain('this page is broken');
  on.draw(
    <ErrorBoundary path="/policies">
      <Page isBroken={false} />
    </ErrorBoundary>,
  );
  expect(on.host.textContent).toBe('a page that works');
});
