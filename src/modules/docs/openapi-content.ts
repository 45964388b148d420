import type { Content, JsonSchema } from './openapi-types.ts';

/** What the generator lists for every body whose content type it was not told. */
const UNTOLD = ['application/json', 'multipart/form-data', 'text/plain'];

/** The real content types of a request body. */
export function mendRequestContent(content: Content): Content {
  const schema = contentSchema(content);
  if (isUntold(content)) return { [hasFile(schema) ? 'multipart/form-data' : 'application/json']: { schema } };
  const { none, ...told } = content;
  return none ? { 'application/octet-stream': none, ...told } : content;
}

/**
 * The real content types of an answer. The generator copies those of the request, so a form stands for JSON here:
 * nobody answers with one.
 */
export function mendResponseContent(content: Content): Content {
  const types = Object.keys(content);
  const isCopied = types.every(
    (type) => type === 'none' || type === 'multipart/form-data' || type.endsWith('-urlencoded'),
  );
  if (!isUntold(content) && !isCopied) return content;
  const schema = contentSchema(content);
  return { [schema.type === 'string' ? 'text/plain' : 'application/json']: { schema } };
}

/** The schema of a body; all its content types have the same one. */
export function contentSchema(content: Content): JsonSchema {
  return Object.values(content)[0]?.schema ?? {};
}

function isUntold(content: Content): boolean {
  return Object.keys(content).length === UNTOLD.length && UNTOLD.every((type) => type in content);
}

function hasFile(schema: JsonSchema): boolean {
  const fields = Object.values((schema.properties ?? {}) as Record<string, JsonSchema>);
  return fields.some(
    (field) => field.format === 'binary' || (field.items as JsonSchema | undefined)?.format === 'binary',
  );
}
