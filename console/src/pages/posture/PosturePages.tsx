// Everything about posture, which comes in one file: what is weak, what data goes where, what is checked.
import { Route, Routes } from 'react-router';

import { CheckPage } from './CheckPage';
import { ChecksPage } from './ChecksPage';
import { DataClassesPage } from './DataClassesPage';
import { PosturePage } from './PosturePage';
import { WeaknessPage } from './WeaknessPage';

export default function PosturePages() {
  return (
    <Routes>
      <Route index element={<PosturePage />} />
      <Route path="data" element={<DataClassesPage />} />
      <Route path="checks" element={<ChecksPage />} />
      <Route path="checks/:name" element={<CheckPage />} />
      <Route path=":id" element={<WeaknessPage />} />
    </Routes>
  );
}
