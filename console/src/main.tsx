import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/jetbrains-mono/index.css';
import './mantine.css';
import './theme.css';
import './parts/parts.css';
import './shell/shell.css';
import './pages/pages.css';
import './parts/controls.css';
import './pages/call/call.css';
import './pages/hunt/answer.css';
import './pages/timeline/facets.css';
import './pages/apis/apis.css';
import './pages/posture/posture.css';

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './App';

// A newer outrider has other files: a page of the one before asks for what is not there any more, and is loaded again.
addEventListener('vite:preloadError', () => {
  fetch('/', { cache: 'no-store' }).then(
    (answer) => answer.ok && location.reload(),
    // It is away; the page says so.
    () => undefined,
  );
});

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
