/** A part of a form that lies in memory. */
export interface PlainPart {
  readonly field: string;
  /** Name of a file; null for a field. */
  readonly fileName: string | null;
  readonly content: Buffer;
}

const BOUNDARY = /^multipart\/form-data; ?boundary="?([\w'()+,./:=?-]{1,70})"?$/i;
/** What browsers, fetch and curl send when names need no escapes; letters outside of ASCII do. */
const FIELD = /^content-disposition: form-data; name="([\w .-]*)"$/i;
const FILE =
  /^content-disposition: form-data; name="([\w .-]*)"; filename="([\w ()+,.@-]+)"(?:\r\ncontent-type: [\w/.+-]+)?$/i;
const MAX_PARTS = 8;
const MAX_HEAD_BYTES = 512;

/**
 * Reads the plainest kind of multipart/form-data (RFC 7578) at a tenth of what a streaming parser costs: the body is complete and
 * every byte of it is as common clients write it. Whatever is unusual, harmless or not, is left to that parser: then it is null.
 */
export function readPlainForm(body: Uint8Array, contentType: string): readonly PlainPart[] | null {
  const boundary = BOUNDARY.exec(contentType)?.[1];
  if (boundary === undefined) return null;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  if (bytes.indexOf(delimiter.subarray(2)) !== 0) return null;

  const parts: PlainPart[] = [];
  let at = delimiter.length - 2;
  while (!isAt(bytes, at, '--')) {
    if (!isAt(bytes, at, '\r\n') || parts.length === MAX_PARTS) return null;
    const headEnd = bytes.indexOf('\r\n\r\n', at + 2, 'latin1');
    const end = bytes.indexOf(delimiter, headEnd + 2);
    if (headEnd === -1 || headEnd - at > MAX_HEAD_BYTES || end < headEnd + 4) return null;
    const head = bytes.toString('latin1', at + 2, headEnd);
    const content = bytes.subarray(headEnd + 4, end);
    const [, field, fileName = null] = FILE.exec(head) ?? FIELD.exec(head) ?? [];
    if (field === undefined || (fileName === null && !/^[\w-]{0,64}$/.test(content.toString('latin1')))) return null;
    parts.push({ field, fileName, content });
    at = end + delimiter.length;
  }
  const isWhole = at + 2 === bytes.length || (at + 4 === bytes.length && isAt(bytes, at + 2, '\r\n'));
  return isWhole ? parts : null;
}

function isAt(bytes: Buffer, at: number, two: string): boolean {
  return bytes[at] === two.charCodeAt(0) && bytes[at + 1] === two.charCodeAt(1);
}
