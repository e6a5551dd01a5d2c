// Builds `dist/`: the typed client's types, the files, and a compressed copy of each that is worth it. Says how large it is, and
// fails where that is too much, or where a component of Mantine's has no style.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Of everything that a browser may load, fonts excepted. */
const GZIPPED_BYTES_MAX = 500 * 1000;
const DIST = new URL('../dist', import.meta.url).pathname;
const COMPRESSED = /\.(html|js|css|svg)$/;

for (const name of readdirSync(DIST)) {
  if (name !== '.gitignore') rmSync(join(DIST, name), { recursive: true });
}
execFileSync('npx', ['vite', 'build', '--logLevel', 'warn'], { stdio: 'inherit' });

/** Classes of Mantine's components, which it names by a hash; those that a text has of `among`. */
const classesIn = (text, among) =>
  [...new Set(text.match(/\bm_[0-9a-f]{5,8}\b/g))].filter((name) => !among || among.has(name));
const textOf = (ending) =>
  readdirSync(join(DIST, 'assets'))
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(join(DIST, 'assets', name), 'utf8'))
    .join('\n');
const whole = readFileSync(createRequire(import.meta.url).resolve('@mantine/core/styles.css'), 'utf8');
const styled = new Set(classesIn(textOf('.css')));
const bare = classesIn(textOf('.js'), new Set(classesIn(whole))).filter((name) => !styled.has(name));
if (bare.length > 0) {
  console.error(
    `src/mantine.css lacks the styles of ${bare.join(', ')}: grep for them in node_modules/@mantine/core/styles`,
  );
  process.exit(1);
}

let [all, first] = [0, 0];
const page = readFileSync(join(DIST, 'index.html'), 'utf8');
for (const path of readdirSync(DIST, { recursive: true })) {
  const file = join(DIST, path);
  if (!statSync(file).isFile() || !COMPRESSED.test(path)) continue;
  const gzipped = gzipSync(readFileSync(file), { level: 9 });
  writeFileSync(`${file}.gz`, gzipped);
  all += gzipped.length;
  if (path === 'index.html' || page.includes(path)) first += gzipped.length;
}
console.log(
  `console: ${Math.round(all / 1000)} KB gzipped, of which ${Math.round(first / 1000)} KB come first; at most ${GZIPPED_BYTES_MAX / 1000} KB are allowed`,
);
if (all > GZIPPED_BYTES_MAX) process.exit(1);
