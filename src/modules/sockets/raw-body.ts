import { requestProblems } from '../../kernel/problems.ts';

/** The body as text, byte for byte, no further than the limit. Throws `request/too-large`. */
export async function readText(request: Request, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    // What stays unread would be taken for the next request.
    if (size > maxBytes) throw requestProblems.create('too-large', { headers: { connection: 'close' } });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
