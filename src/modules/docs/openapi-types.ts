/** The part of OpenAPI 3.1 that the document is made of. https://spec.openapis.org/oas/v3.1.0 */

export interface OpenApiDocument {
  readonly openapi: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly responses: Readonly<Record<string, ResponseObject>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

type PathItem = Readonly<Record<string, Operation>>;

export interface Operation {
  readonly operationId: string;
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: RequestBody;
  readonly responses: Readonly<Record<string, ResponseObject | Reference>>;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
}

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

interface RequestBody {
  readonly required?: boolean;
  readonly description?: string;
  readonly content: Content;
}

export interface ResponseObject {
  readonly description: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: Content;
}

export type Content = Readonly<Record<string, { readonly schema?: JsonSchema }>>;

export interface Reference {
  readonly $ref: string;
}

/** A JSON Schema, draft 2020-12, as TypeBox writes it. */
export interface JsonSchema {
  readonly [key: string]: unknown;
}

/** What the generator makes, before it is mended: the same shape, with anything missing, twice or misplaced. */
export interface RawDocument {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
}

export interface RawOperation {
  readonly [key: string]: unknown;
  readonly operationId?: string;
  readonly tags?: readonly string[];
  readonly security?: NonNullable<Operation['security']>;
  readonly parameters?: readonly (Omit<Parameter, 'schema'> & {
    readonly schema?: JsonSchema;
    readonly examples?: unknown;
  })[];
  requestBody?: { required?: boolean; readonly description?: string; readonly content?: Content };
  readonly responses?: Readonly<Record<string, RawResponse>>;
}

export interface RawResponse {
  readonly [key: string]: unknown;
  readonly description?: string;
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: Content;
}
