import type { AnyElysia } from 'elysia';
import type { Module } from '../../web/module.ts';
import type { OpenFile } from '../../web/static-file.ts';
import { createSwaggerAssets } from './assets.ts';
import { mendDocument } from './openapi-document.ts';
import type { OpenApiDocument } from './openapi-types.ts';
import { docsRoutes, generateDocument } from './routes.ts';

export type { OpenApiDocument } from './openapi-types.ts';

export interface DocsOptions {
  /** Version of the running server. */
  readonly version: string;
  readonly openFile: OpenFile;
  /** The modules that are mounted, asked for once, when the document is first wanted. The docs document themselves. */
  readonly modules: () => readonly Module[];
}

export interface Docs extends Module {
  /** The OpenAPI document of everything that is mounted; made once. */
  document(): Promise<OpenApiDocument>;
}

/** Swagger UI at `/swagger` and the OpenAPI document at `/swagger/json`. */
export function createDocs({ version, openFile, modules }: DocsOptions): Docs {
  let made: Promise<OpenApiDocument> | null = null;
  const make = async () => {
    const others = modules().filter((module) => module.name !== 'docs');
    const all = [...others.flatMap((module) => module.routes ?? []), routes];
    return mendDocument(await generateDocument(all), version);
  };
  const document = () => {
    made ??= make().catch((error: unknown) => {
      made = null;
      throw error;
    });
    return made;
  };
  const routes: AnyElysia = docsRoutes({ assets: createSwaggerAssets(openFile), document });
  return { name: 'docs', routes, document };
}
