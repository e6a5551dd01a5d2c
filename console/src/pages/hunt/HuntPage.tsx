// Asking the lake: a search, a statement, and questions that are asked again and again.
import { NavLink, Route, Routes } from 'react-router';

import { Page } from '../../parts/basics';
import { HuntForm } from './HuntForm';
import { Saved } from './Saved';
import { Search } from './Search';
import { Sql } from './Sql';

export default function HuntPage() {
  return (
    <Page
      title="Hunt"
      full
      after={
        <nav className="tabs" aria-label="Hunt">
          <NavLink to="/hunt" end>
            Search
          </NavLink>
          <NavLink to="/hunt/sql">SQL</NavLink>
          <NavLink to="/hunt/saved">Saved</NavLink>
        </nav>
      }
    >
      <Routes>
        <Route index element={<Search />} />
        <Route path="sql" element={<Sql />} />
        <Route path="saved" element={<Saved />} />
        <Route path="saved/new" element={<HuntForm />} />
        <Route path="saved/:name" element={<HuntForm />} />
      </Routes>
    </Page>
  );
}
