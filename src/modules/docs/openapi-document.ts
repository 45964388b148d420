import { ACCESS_KEY, LIMIT_KEY, WIRE_KEY } from '../../web/guard.ts';
import { Problem } from '../../web/schemas.ts';
import { contentSchema, mendRequestContent, mendResponseContent } from './openapi-content.ts';
import { describeApi, describeTags, SECURITY_SCHEMES } from './openapi-info.ts';
import { PROBLEM_TYPE, problemComponents, problemResponse, problemsOf } from './openapi-problems.ts';
import { createSchemaShelf, mendSchema } from './openapi-schemas.ts';
import type {
  Content,
  JsonSchema,
  OpenApiDocument,
  Operation,
  Parameter,
  RawDocument,
  RawOperation,
  RawResponse,
  Reference,
  ResponseObject,
} from './openapi-types.ts';

/** TypeBox writes JSON Schema, which 3.1 takes as it is and 3.0 does not. */
const OPENAPI_VERSION = '3.1.0';

const DONE: Readonly<Record<string, string>> = {
  200: 'Done.',
  201: 'Created.',
  202: 'Accepted; the work goes on.',
  204: 'Done; there is nothing to say.',
  206: 'The part that was asked for.',
  304: 'Not changed.',
};

/**
 * Makes the published document out of what the generator found in the routes: valid, each fact once, and with the
 * failures that the house answers before a handler runs. Does not change its argument.
 */
export function mendDocument(raw: RawDocument, version: string): OpenApiDocument {
  const shelf = createSchemaShelf();
  const sharedProblems = new Set<string>();
  const usedTags = new Set<string>();
  const operationIds = new Set<string>();
  const problemSchema = shelf.shelve(mendSchema(plainSchema(Problem)));

  const mendContent = (content: Content): Content =>
    mapValues(content, (media) =>
      media.schema ? { ...media, schema: shelf.shelve(mendSchema(media.schema)) } : media,
    );

  const mendResponse = (status: string, response: RawResponse): ResponseObject => {
    const { description = DONE[status] ?? 'See the status.', headers, content } = response;
    if (content && isProblem(response, content)) return problemResponse(description, problemSchema, headers);
    const real = content && mendResponseContent(withTitle(content, response.title));
    return { description, ...(headers && { headers }), ...(real && { content: mendContent(real) }) };
  };

  const mendResponses = (operation: RawOperation, parameters: readonly Parameter[]) => {
    const told = mapEntries(operation.responses ?? { 200: {} }, mendResponse);
    const shared: Record<string, Reference> = {};
    const facts = {
      isGuarded: operation[ACCESS_KEY] !== undefined && operation[ACCESS_KEY] !== 'anyone',
      takesCredential: (operation.security ?? []).length > 0,
      hasBody: operation.requestBody?.content !== undefined,
      hasQuery: parameters.some((parameter) => parameter.in === 'query'),
      hasPathParameters: parameters.some((parameter) => parameter.in === 'path'),
    };
    for (const [status, name] of problemsOf(facts)) {
      if (status in told) continue;
      sharedProblems.add(name);
      shared[status] = { $ref: `#/components/responses/${name}` };
    }
    return { ...told, ...shared };
  };

  const mendOperation = (operation: RawOperation): Operation => {
    const {
      operationId,
      parameters,
      requestBody,
      responses: _,
      [ACCESS_KEY]: _access,
      [LIMIT_KEY]: _limit,
      [WIRE_KEY]: _wire,
      hide: _hide,
      ...rest
    } = operation;
    for (const tag of rest.tags ?? []) usedTags.add(tag);
    const mended = (parameters ?? []).map(mendParameter);
    return {
      ...rest,
      operationId: uniqueId(operationId ?? 'operation', operationIds),
      ...(mended.length > 0 && { parameters: mended }),
      ...(requestBody?.content && {
        requestBody: { ...requestBody, content: mendContent(mendRequestContent(requestBody.content)) },
      }),
      responses: mendResponses(operation, mended),
    };
  };

  const paths = mapValues(visible(raw.paths ?? {}), (item) => mapValues(item, mendOperation));
  return {
    openapi: OPENAPI_VERSION,
    info: describeApi(version),
    servers: [{ url: '/' }],
    tags: describeTags(usedTags),
    paths,
    components: {
      schemas: shelf.schemas,
      responses: problemComponents(sharedProblems, problemSchema),
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

/** Paths and operations without the hidden ones. With and without a slash at the end a path is the same one. */
function visible(paths: NonNullable<RawDocument['paths']>) {
  const shown: Record<string, Record<string, RawOperation>> = {};
  for (const [path, item] of Object.entries(paths)) {
    const operations = Object.entries(item).filter(([, operation]) => operation.hide !== true);
    if (operations.length === 0) continue;
    const bare = path.replace(/(?<=.)\/$/, '');
    shown[bare] = { ...shown[bare], ...Object.fromEntries(operations) };
  }
  return shown;
}

/** The generator lifts `examples` out of the schema, where they would have to be named, and leaves gaps. */
function mendParameter({
  examples,
  schema = {},
  ...parameter
}: NonNullable<RawOperation['parameters']>[number]): Parameter {
  const { description, ...rest } = parameter;
  return {
    ...rest,
    ...(description !== undefined && { description }),
    required: parameter.in === 'path' || parameter.required === true,
    schema: mendSchema(examples === undefined ? schema : { ...schema, examples }),
  };
}

/** The generator lifts a schema's title to the response; it belongs to the schema. */
function withTitle(content: Content, title: unknown): Content {
  if (typeof title !== 'string') return content;
  return mapValues(content, (media) => ({ ...media, schema: { ...media.schema, title } }));
}

function isProblem(response: RawResponse, content: Content): boolean {
  return response.title === Problem.title || PROBLEM_TYPE in content || contentSchema(content).title === Problem.title;
}

/** The generator puts dashes of paths into ids; ids are camelCase, and no two are the same. */
function uniqueId(raw: string, taken: Set<string>): string {
  const id = raw.replace(/[^A-Za-z0-9]+(.)?/g, (_, next?: string) => next?.toUpperCase() ?? '');
  let unique = id;
  for (let number = 2; taken.has(unique); number++) unique = `${id}${number}`;
  taken.add(unique);
  return unique;
}

/** The schema without the marks that TypeBox keeps under symbols. */
function plainSchema(schema: object): JsonSchema {
  return JSON.parse(JSON.stringify(schema)) as JsonSchema;
}

function mapValues<In, Out>(table: Readonly<Record<string, In>>, change: (value: In) => Out): Record<string, Out> {
  return mapEntries(table, (_, value) => change(value));
}

function mapEntries<In, Out>(
  table: Readonly<Record<string, In>>,
  change: (key: string, value: In) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(table).map(([key, value]) => [key, change(key, value)]));
}
