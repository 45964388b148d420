import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileResponse } from '../../web/file-response.ts';
import type { OpenFile } from '../../web/static-file.ts';

/** Swagger UI styles its elements in place, and its icons are data URLs; the rest comes from this server only. */
const SWAGGER_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGES = join(import.meta.dirname, 'pages');

/** Every file that the page loads: where it lies and what it is. Nothing else of the package is served. */
const ASSETS = {
  'swagger.html': { folder: () => PAGES, type: 'text/html; charset=utf-8' },
  'init.js': { folder: () => PAGES, type: 'text/javascript; charset=utf-8' },
  'swagger-ui.css': { folder: packageFolder, type: 'text/css; charset=utf-8' },
  'swagger-ui-bundle.js': { folder: packageFolder, type: 'text/javascript; charset=utf-8' },
  'favicon-32x32.png': { folder: packageFolder, type: 'image/png' },
} as const;

export type AssetName = keyof typeof ASSETS;

export function isAssetName(name: string): name is AssetName {
  return Object.hasOwn(ASSETS, name);
}

/** Answers GET and HEAD with one file of the Swagger UI. Browsers ask again each time and get a 304. */
export type SwaggerAssets = (request: Request, name: AssetName) => Promise<Response>;

export function createSwaggerAssets(openFile: OpenFile): SwaggerAssets {
  return async (request, name) => {
    const { folder, type } = ASSETS[name];
    const path = join(folder(), name);
    const file = await openFile(path);
    if (!file) throw new Error(`the installation lacks ${path}`);
    return fileResponse(request, {
      size: file.size,
      type,
      etag: `"${file.size.toString(36)}-${Math.round(file.mtimeMs).toString(36)}"`,
      lastModified: file.mtimeMs,
      headers: { 'cache-control': 'no-cache', 'content-security-policy': SWAGGER_POLICY },
      open: async (range) => file.open(range),
    });
  };
}

function packageFolder(): string {
  return join(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'), '..');
}
