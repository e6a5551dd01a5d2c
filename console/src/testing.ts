// What tests that draw need of a browser, and do not have: nothing has a layout, and no window is narrow.
import { vi } from 'vitest';

/** For one test; `unstubBrowser` takes it away. */
export function stubBrowser(): void {
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true);
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
  vi.stubGlobal(
    'ResizeObserver',
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
  Object.defineProperty(document, 'fonts', { configurable: true, value: new EventTarget() });
}

/** Takes away all globals that a test has put there, and what is no global. */
export function unstubBrowser(): void {
  vi.unstubAllGlobals();
  Reflect.deleteProperty(document, 'fonts');
}
