import type { ByteRange } from '../../ports/object-store.ts';
import { fileResponse, type Representation } from '../../web/file-response.ts';
import { toHttpDate } from '../../web/http-date.ts';
import { answerAgain, type KeptAnswer, keepAnswer } from '../../web/ready-headers.ts';
import { setSecurityHeaders } from '../../web/security-headers.ts';
import { type OpenedFile, representFile } from '../../web/static-file.ts';
import type { Compress } from './static-compression.ts';
import { CODINGS, type Coding, isCompressible, preferredCodings } from './static-encodings.ts';
import type { Place } from './static-memory.ts';

/** A public file as it is now, in every encoding in which it is sent. */
export interface StaticAsset {
  /** A promise only when the file system or a compression has to be waited for. */
  respond(request: Request): Response | Promise<Response>;
  /** Gives its memory back. */
  forget(): void;
}

export interface AssetSource {
  readonly name: string;
  readonly file: OpenedFile;
  /** Files beside it that hold it compressed already: `name.br`, `name.zst`, `name.gz`. */
  readonly siblings: Readonly<Partial<Record<Coding, OpenedFile>>>;
}

export interface AssetOptions {
  readonly openPlace: () => Place;
  readonly compress: Compress;
  readonly headers: Readonly<Record<string, string>>;
}

/** One encoding of a file. */
interface Variant {
  /** Its bytes are opened by `withContent`. */
  readonly representation: Representation;
  readonly size: number;
  /** The plain answer to GET: 200 with everything. */
  readonly kept: KeptAnswer;
  readonly place: Place;
  /** Where it lies on disk; `null` when it exists in memory alone. */
  readonly source: OpenedFile | null;
  uses: number;
  /** It is on its way into memory. */
  isBeingRead: boolean;
}

/** Below it the frame of the answer outweighs what is saved. */
const MIN_COMPRESSED_BYTES = 1024;
const MAX_COMPRESSED_BYTES = 8 * 2 ** 20;
/** Held in memory from the second use on. */
const MAX_HOT_BYTES = 2 * 2 ** 20;
const CONDITIONS = ['range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'];

export function createStaticAsset({ name, file, siblings }: AssetSource, options: AssetOptions): StaticAsset {
  const { openPlace, compress } = options;
  const plainFile = representFile(name, file, options.headers);
  const canCompress =
    isCompressible(plainFile.type) && file.size >= MIN_COMPRESSED_BYTES && file.size <= MAX_COMPRESSED_BYTES;
  const offered = CODINGS.filter((coding) => canCompress || siblings[coding]);
  const vary = offered.length > 0 ? { vary: 'Accept-Encoding' } : null;
  const plain = toVariant({ ...plainFile, headers: { ...plainFile.headers, ...vary } }, file, openPlace());
  /** `null` where it turned out not to be worth it. */
  const encoded = new Map<Coding, Variant | null>();
  let isForgotten = false;
  const making = new Map<Coding, Promise<Variant | null>>();
  /** What the last one accepted; the next one mostly accepts the same. */
  let last: { readonly field: string | null; readonly codings: readonly Coding[] } = { field: null, codings: NONE };
  const choose = (field: string | null): readonly Coding[] => {
    if (field !== last.field) last = { field, codings: preferredCodings(field, offered) };
    return last.codings;
  };

  return {
    respond(request) {
      if (offered.length === 0 || request.headers.has('range')) return send(plain, request);
      const codings = choose(request.headers.get('accept-encoding'));
      const [coding] = codings;
      if (coding === undefined) return send(plain, request);
      const ready = encoded.get(coding);
      return ready?.place.content ? send(ready, request) : sendFirst(codings, request);
    },
    forget() {
      isForgotten = true;
      for (const variant of [plain, ...encoded.values()]) variant?.place.release();
    },
  };

  async function sendFirst(codings: readonly Coding[], request: Request): Promise<Response> {
    for (const coding of codings) {
      const variant = await make(coding);
      if (variant?.place.content || variant?.source) return send(variant, request);
    }
    return send(plain, request);
  }

  /** The variant, made once for everybody who asks meanwhile, and again when memory has given it up. */
  function make(coding: Coding): Promise<Variant | null> | Variant | null {
    const known = encoded.get(coding);
    if (known === null || known?.place.content || known?.source) return known;
    const underway = making.get(coding);
    if (underway) return underway;
    const sibling = siblings[coding];
    const made = (sibling ? fromSibling(coding, sibling) : fromPlain(coding)).finally(() => making.delete(coding));
    making.set(coding, made);
    return made;
  }

  async function fromSibling(coding: Coding, sibling: OpenedFile): Promise<Variant> {
    const tag = `"${sibling.size.toString(36)}-${Math.round(sibling.mtimeMs * 1000).toString(36)}-${coding}"`;
    const variant = encodedAs(coding, tag, sibling.size, sibling);
    encoded.set(coding, variant);
    return variant;
  }

  async function fromPlain(coding: Coding): Promise<Variant | null> {
    const content = plain.place.content ?? (await readWhole(file));
    // Changed while it was read: whoever asks next finds the new one.
    if (content.size !== file.size) return null;
    const compressed = await compress(new Uint8Array(await content.arrayBuffer()), coding);
    if (compressed === 'busy' || isForgotten) return null;
    const tag = plainFile.etag.replace(/"$/, `-${coding}"`);
    const variant = compressed && encodedAs(coding, tag, compressed.byteLength, null);
    const isHeld = compressed && variant?.place.hold(new Blob([compressed]));
    encoded.set(coding, isHeld ? variant : null);
    return isHeld ? variant : null;
  }

  function encodedAs(coding: Coding, etag: string, size: number, source: OpenedFile | null): Variant {
    const headers = { ...plainFile.headers, ...vary, 'content-encoding': coding };
    return toVariant({ ...plainFile, etag, size, headers }, source, openPlace());
  }

  function send(variant: Variant, request: Request): Response | Promise<Response> {
    const { kept, place } = variant;
    if (!isPlainGet(request)) return fileResponse(request, withContent(variant));
    const { content } = place;
    if (content) return answerAgain(request, content, kept);
    const reading = readHot(variant);
    if (!reading) return fileResponse(request, withContent(variant));
    return reading.then((whole) =>
      whole ? answerAgain(request, whole, kept) : fileResponse(request, withContent(variant)),
    );
  }

  /** Reads what is used again into memory, for the first who asks: the others are sent the file meanwhile. */
  function readHot(variant: Variant): Promise<Blob | null> | null {
    const { source, size, place } = variant;
    if (!source || ++variant.uses === 1 || variant.isBeingRead || isForgotten) return null;
    if (size > MAX_HOT_BYTES || !place.fits(size)) return null;
    variant.isBeingRead = true;
    return readWhole(source)
      .then((whole) => {
        if (whole.size !== size) return null;
        if (!isForgotten) place.hold(whole);
        return whole;
      })
      .finally(() => {
        variant.isBeingRead = false;
      });
  }
}

/** The variant as it can be sent now: memory may give it up while an answer goes out. */
function withContent({ representation, place, source }: Variant): Representation {
  const { content } = place;
  const open = async (range?: ByteRange) => {
    if (content) return range ? content.slice(range.first, range.last + 1) : content;
    return source ? source.open(range) : new Blob([]);
  };
  return { ...representation, open };
}

const NONE: readonly Coding[] = [];

function toVariant(representation: Representation, source: OpenedFile | null, place: Place): Variant {
  const headers = new Headers({
    'content-disposition': 'inline',
    ...representation.headers,
    etag: representation.etag,
    'last-modified': toHttpDate(representation.lastModified),
    'accept-ranges': 'bytes',
    'content-type': representation.type,
  });
  setSecurityHeaders(headers);
  return {
    representation,
    size: representation.size,
    kept: keepAnswer({ headers }),
    place,
    source,
    uses: 0,
    isBeingRead: false,
  };
}

/** Whether everything is asked for, without conditions that have to be judged. */
function isPlainGet({ method, headers }: Request): boolean {
  if (method !== 'GET') return false;
  for (const name of CONDITIONS) if (headers.has(name)) return false;
  return true;
}

/** Into memory, from where it is sent without being copied for each answer. */
async function readWhole(file: OpenedFile): Promise<Blob> {
  return new Blob([await new Response(file.open()).arrayBuffer()]);
}
