/** The published contract, and a page to read and try it: both made of what is declared, and served from here alone. */
import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { contractOf } from '../openapi/document';
import { anyJsonShape } from '../answers/words';
import { route, type Answer, type Route } from '../route';
import { noQuerySchema } from '../schemas';
import type { Workshop } from '../workshop';

/** @param declared everything the API answers, these calls included */
export function contractRoutes({ region }: Workshop, declared: () => readonly Route[]): Route[] {
  let contract: Answer | undefined;
  return [
    route({
      method: 'get',
      path: '/openapi.json',
      roles: 'public',
      summary: 'This contract, as an OpenAPI document.',
      operation: 'getContract',
      answers: { 200: { description: 'The document', schema: anyJsonShape, headers: ['ETag'] } },
      query: noQuerySchema,
      handle() {
        contract ??= fixed(JSON.stringify(contractOf(declared(), { region })), 'application/json; charset=utf-8');
        return Promise.resolve(contract);
      },
    }),
    route({
      method: 'get',
      path: '/docs',
      roles: 'public',
      summary: 'A page to read this contract, and to try it.',
      answers: { 200: { description: 'The page', type: 'text/html', headers: ['ETag'] } },
      query: noQuerySchema,
      handle: () => Promise.resolve(fixed(page, 'text/html; charset=utf-8', pageHeaders)),
    }),
    ...Object.entries(files).map(([name, { type, read }]) => {
      let file: Promise<Answer> | undefined;
      return route({
        method: 'get',
        path: `/docs/${name}`,
        roles: 'public',
        summary: 'A part of the page.',
        answers: { 200: { description: 'The file', type } },
        published: false,
        query: noQuerySchema,
        async handle() {
          file ??= read().then((text) => fixed(text, `${type}; charset=utf-8`));
          return file;
        },
      });
    }),
  ];
}

/** Something that stays the same until the next release. */
function fixed(body: string, type: string, more: Readonly<Record<string, string>> = {}): Answer {
  const headers = {
    'Content-Type': type,
    'Cache-Control': 'public, max-age=300',
    ETag: `"${hash('sha256', body, 'base64url').slice(0, 16)}"`,
    ...more,
  };
  return { status: 200, body, headers };
}

/** Nothing but our own files: no script and no style in the page itself, no connection to anybody else. */
const pageHeaders = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    // The stylesheet's arrows and locks are images in it.
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Referrer-Policy': 'no-referrer',
};

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Ablauf: the API</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="./docs/swagger-ui.css">
  </head>
  <body>
    <main id="contract"><p>The contract itself, for tools: <a href="./openapi.json">openapi.json</a></p></main>
    <script src="./docs/swagger-ui-bundle.js"></script>
    <script src="./docs/start.js"></script>
  </body>
</html>
`;

/** Nobody is asked whether the document is valid, and what is typed in is kept nowhere. */
const start = `SwaggerUIBundle({
  url: './openapi.json',
  dom_id: '#contract',
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  displayRequestDuration: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
});
`;

const files = {
  'swagger-ui.css': { type: 'text/css', read: () => readPart(require.resolve('swagger-ui-dist/swagger-ui.css')) },
  'swagger-ui-bundle.js': {
    type: 'text/javascript',
    read: () => readPart(require.resolve('swagger-ui-dist/swagger-ui-bundle.js')),
  },
  'start.js': { type: 'text/javascript', read: () => Promise.resolve(start) },
};

/** A file of Swagger UI, without the pointer to its sources, which are not served. */
async function readPart(path: string): Promise<string> {
  const text = await readFile(path, 'utf8');
  return text.replace(/\/[/*]# sourceMappingURL=.*\s*$/, '');
}
