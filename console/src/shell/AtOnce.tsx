// What a click asks for is drawn at once. The router would do that when nothing else is to be drawn, and where calls come and rows were
// just drawn there always is: the address had changed, and seconds later nothing was open yet.
import type { ReactNode } from 'react';
import { BrowserRouter } from 'react-router';

export function AtOnce({ children }: { children: ReactNode }) {
  return <BrowserRouter useTransitions={false}>{children}</BrowserRouter>;
}
