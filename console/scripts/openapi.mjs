// Keeps `openapi.json`, which the typed client is made of, in step with the API.
//
//   outrider openapi | node scripts/openapi.mjs           writes it
//   outrider openapi | node scripts/openapi.mjs --check   fails where it is not what the API says
//
// Only what gives types is kept: paths, parameters, bodies and the answers that are no refusals, without words.
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = new URL('../openapi.json', import.meta.url);
const WORDS = new Set([
  'description',
  'summary',
  'examples',
  'example',
  'title',
  'tags',
  'minLength',
  'maxLength',
  'pattern',
]);

function withoutWords(value, isNames = false) {
  if (Array.isArray(value)) return value.map((item) => withoutWords(item));
  if (value === null || typeof value !== 'object') return value;
  const kept = Object.entries(value).filter(
    ([name, held]) => isNames || (!(WORDS.has(name) && typeof held !== 'object') && name !== 'examples'),
  );
  return Object.fromEntries(
    kept.map(([name, held]) => [name, withoutWords(held, name === 'properties' || name === 'schemas')]),
  );
}

const whole = JSON.parse(readFileSync(0, 'utf8'));
const paths = {};
for (const [path, methods] of Object.entries(whole.paths)) {
  paths[path] = {};
  for (const [method, operation] of Object.entries(methods)) {
    const answers = Object.entries(operation.responses).filter(([status]) => status < '400');
    const responses = Object.fromEntries(
      answers.map(([status, answer]) => [status, { description: '', content: withoutWords(answer.content) }]),
    );
    const { parameters, requestBody } = operation;
    paths[path][method] = {
      operationId: operation.operationId,
      'x-role': operation['x-role'],
      parameters: withoutWords(parameters?.filter((parameter) => parameter.in !== 'header')),
      requestBody: withoutWords(requestBody),
      responses,
    };
  }
}
const version = whole.info.version;
const kept = {
  openapi: whole.openapi,
  info: { title: 'outrider', version },
  paths,
  components: { schemas: withoutWords(whole.components.schemas, true) },
};
const text = `${JSON.stringify(kept, null, 1)}\n`;

if (!process.argv.includes('--check')) {
  writeFileSync(FILE, text);
} else if (readFileSync(FILE, 'utf8') !== text) {
  console.error(
    'console/openapi.json is not what the API says; make it anew: outrider openapi | node scripts/openapi.mjs',
  );
  process.exit(1);
}
