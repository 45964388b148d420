import { AppError } from '../../kernel/errors.ts';
import { isNestedTooDeeply } from '../../web/json-depth.ts';
import { toMembers } from './answer-members.ts';
import { openSource } from './charset.ts';
import type { Language, ParseJob, ParseRequest, ParseResult } from './job.ts';
import { mediaType } from './media-type.ts';
import { parseProblems } from './problems.ts';
import { type Faulty, readBody, readTexts } from './read-request.ts';
import type { View } from './view.ts';

/** Most bytes of one answer. */
const MAX_OUTPUT_BYTES = 32 * 1024 * 1024;

type Refusal = Extract<ParseResult, { status: 'refused' }>;

/** A source in bytes, and what is wanted of it. */
interface Asked {
  readonly bytes: Uint8Array;
  readonly contentType: string | null;
  readonly request: ParseRequest;
}

/** The views of a language; its parsers are loaded when its first source comes. */
type LoadViews = () => Promise<Readonly<Record<string, View>>>;

/** The work of a child: reads the body, decodes the source and looks at it. Throws nothing but bugs. */
export function createParseChild(languages: Readonly<Record<Language, LoadViews>>) {
  const loaded: Partial<Record<Language, Readonly<Record<string, View>>>> = {};
  return async (job: ParseJob): Promise<ParseResult> => {
    try {
      const asked = job.request ? { ...job, request: job.request } : await readJob(job);
      if ('status' in asked) return asked;
      if (asked.bytes.byteLength > job.maxBytes) throw parseProblems.create('too-large');
      const { view, options } = asked.request;
      const source = openSource(asked.bytes, asked.contentType, job.language);
      loaded[job.language] ??= await languages[job.language]();
      const look = loaded[job.language]?.[view] as View;
      const output = await look(Object.assign(source, { url: baseOf(options, job.url), options }));
      const members = toMembers(output);
      if (members.byteLength > MAX_OUTPUT_BYTES) throw parseProblems.create('output-too-large');
      return { status: 'read', view, members };
    } catch (error) {
      const refused = toRefusal(error);
      if (refused) return refused;
      throw error;
    }
  };
}

/** Reads a body that nobody has looked into. */
async function readJob(job: ParseJob): Promise<Asked | Refusal> {
  const { language, bytes, contentType, query } = job;
  switch (mediaType(contentType)) {
    case 'application/json': {
      const body = readJson(bytes);
      if (body === undefined) return { status: 'refused', problem: 'malformed-json' };
      const read = readBody(language, body);
      if ('faults' in read) return invalid(read);
      // Only a source makes a body this large.
      if (read.source === null) throw parseProblems.create('no-source');
      return { bytes: new TextEncoder().encode(read.source), contentType: UTF_8, request: read.request };
    }
    case 'multipart/form-data':
      return readForm(job);
    default: {
      const request = readTexts(language, query);
      return 'faults' in request ? invalid(request) : { bytes, contentType, request };
    }
  }
}

const UTF_8 = 'text/plain; charset=utf-8';

async function readForm({ language, bytes, contentType, query }: ParseJob): Promise<Asked | Refusal> {
  let form: FormData;
  try {
    form = await new Response(bytes as BufferSource, { headers: { 'content-type': contentType as string } }).formData();
  } catch {
    return { status: 'refused', problem: 'malformed-body' };
  }
  const texts: Record<string, string> = { ...query };
  let file: Blob | null = null;
  for (const [name, value] of form) {
    if (typeof value !== 'string') file ??= value;
    else texts[name] = value;
  }
  const { source, ...options } = texts;
  const request = readTexts(language, options);
  if ('faults' in request) return invalid(request);
  if (file) return { bytes: new Uint8Array(await file.arrayBuffer()), contentType: charsetOf(file.type), request };
  if (source === undefined) throw parseProblems.create('no-source');
  return { bytes: new TextEncoder().encode(source), contentType: UTF_8, request };
}

/** Browsers name a type by the file's ending; only a charset that the sender wrote counts. */
function charsetOf(type: string): string | null {
  return /charset/i.test(type) ? type : null;
}

/** The value of a JSON text; undefined when it is none, or nested beyond reason. */
function readJson(bytes: Uint8Array): unknown {
  if (isNestedTooDeeply(bytes)) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

/** Relative addresses start from what the caller says, else from where the source came from. */
function baseOf(options: ParseRequest['options'], url: string | null): string | null {
  return typeof options['baseUrl'] === 'string' ? options['baseUrl'] : url;
}

function invalid({ faults }: Faulty): Refusal {
  return { status: 'refused', problem: 'invalid-request', faults };
}

function toRefusal(error: unknown): Refusal | null {
  // What a parser cannot recurse into any more.
  if (error instanceof RangeError && /call stack/i.test(error.message)) {
    return { status: 'refused', problem: 'too-deep' };
  }
  if (!(error instanceof AppError)) return null;
  const name = error.code.slice(error.code.indexOf('/') + 1) as Refusal['problem'];
  return { status: 'refused', problem: name, detail: error.detail, faults: error.faults };
}
