import { BLOCK_BYTES, makeBlock, type Transfer, type TransferResult } from './transfer.ts';

/**
 * The client of one large transfer: HTTP/1.1 by hand on a TCP socket, since a ready-made client would cost more than the
 * server does. Takes a Transfer as its argument, prints a TransferResult.
 */
const transfer = JSON.parse(Bun.argv[2] ?? '') as Transfer;
const isUpload = transfer.method !== 'GET';
const type = transfer.method === 'PATCH' ? 'application/offset+octet-stream' : 'application/octet-stream';
const url = new URL(transfer.url);
const block = makeBlock();
const head = [
  `${transfer.method} ${url.pathname} HTTP/1.1`,
  `host: ${url.host}`,
  ...Object.entries(transfer.headers).map(([name, value]) => `${name}: ${value}`),
  ...(isUpload ? [`content-type: ${type}`, `content-length: ${transfer.bytes}`] : []),
  '\r\n',
].join('\r\n');

const { promise, resolve, reject } = Promise.withResolvers<TransferResult>();
let unsent = isUpload ? transfer.bytes : 0;
let answerHead = '';
let answer = '';
let expected: number | undefined;
let received = 0;
const startedAt = performance.now();

const socket = await Bun.connect({
  hostname: url.hostname,
  port: Number(url.port),
  socket: {
    open(opened) {
      opened.write(head);
      sendOn(opened);
    },
    drain: sendOn,
    data: (_socket, chunk) => receive(chunk),
    close: () => reject(new Error(`the server closed the connection: ${answerHead}${answer}`)),
    error: (_socket, error) => reject(error),
  },
});
console.log(JSON.stringify(await promise));
socket.end();

function sendOn(to: Bun.Socket): void {
  while (unsent > 0) {
    const sentOfBlock = (transfer.bytes - unsent) % BLOCK_BYTES;
    const written = to.write(block, sentOfBlock, Math.min(BLOCK_BYTES - sentOfBlock, unsent));
    if (written <= 0) return;
    unsent -= written;
  }
}

/** Keeps the head, and an upload's answer; only counts what a download brings. */
function receive(chunk: Buffer): void {
  let body = chunk;
  if (expected === undefined) {
    answerHead += chunk.toString('latin1');
    const end = answerHead.indexOf('\r\n\r\n');
    if (end === -1) return;
    body = chunk.subarray(chunk.length - (answerHead.length - end - 4));
    answerHead = answerHead.slice(0, end);
    expected = Number(/^content-length: *(\d+)$/im.exec(answerHead)?.[1]);
  }
  received += body.length;
  if (isUpload) answer += body.toString();
  if (received >= expected || Number.isNaN(expected)) finish();
}

function finish(): void {
  const ms = performance.now() - startedAt;
  const isSuccess = /^HTTP\/1\.1 20[014] /.test(answerHead) && (isUpload || received === transfer.bytes);
  if (isSuccess) resolve({ ms, answer });
  else reject(new Error(`${answerHead}\n\n${answer}\n${received} bytes came`));
}
