import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { Upload } from 'tus-js-client';
import { type Call, createClient, register } from '../support/client.ts';
import { eventually } from '../support/eventually.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { uploadByTus } from '../support/tus-upload.ts';

const MiB = 2 ** 20;

describe('tus-js-client, as it comes from the registry', () => {
  let server: TestServer;
  let call: Call;
  let token: string;

  beforeAll(async () => {
    server = await startServer();
    call = createClient(server.url);
    token = (await register(call, 'ann@example.org')).access_token;
  }, 60_000);
  afterAll(() => server?.[Symbol.asyncDispose]());

  const endpoint = () => `${server.url}/api/uploads`;
  const expectFile = async (fileId: string | null, content: Buffer, name: string): Promise<void> => {
    const { json } = await call('GET', `/api/files/${fileId}`, { token });
    const sha256 = createHash('sha256').update(content).digest('hex');
    expect(json).toMatchObject({ name, size: content.length, sha256 });
    const response = await fetch(`${server.url}/api/files/${fileId}/content`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), content)).toBe(0);
  };

  const ways = [
    { way: 'in one request', options: {} },
    { way: 'in chunks', options: { chunkSize: 3 * MiB } },
    { way: 'with the first bytes in the creation', options: { uploadDataDuringCreation: true, chunkSize: 4 * MiB } },
    { way: 'in four parts at once', options: { parallelUploads: 4 } },
    { way: 'with another method in POST', options: { overridePatchMethod: true } },
  ];
  test.each(ways)('uploads $way', async ({ way, options }) => {
    const content = randomBytes(10 * MiB + 123);
    const { fileId } = await uploadByTus(endpoint(), token, content, { metadata: { filename: way }, ...options });
    await expectFile(fileId, content, way);
  });

  test('uploads a stream whose length nobody knows', async () => {
    const content = randomBytes(5 * MiB);
    const stream = Readable.from([content.subarray(0, MiB), content.subarray(MiB)]);
    const { fileId } = await uploadByTus(endpoint(), token, stream, {
      uploadLengthDeferred: true,
      chunkSize: 2 * MiB,
      metadata: { filename: 'deferred' },
    });
    await expectFile(fileId, content, 'deferred');
  });

  test('resumes where it was paused', async () => {
    const content = randomBytes(8 * MiB);
    const url = await new Promise<string>((resolve, reject) => {
      const upload: Upload = new Upload(content, {
        endpoint: endpoint(),
        headers: { authorization: `Bearer ${token}` },
        metadata: { filename: 'paused' },
        chunkSize: MiB,
        onChunkComplete(_size, accepted) {
          if (accepted === 3 * MiB) void upload.abort().then(() => resolve(upload.url as string), reject);
        },
      });
      upload.start();
    });
    const offsets: number[] = [];
    const { fileId } = await uploadByTus(endpoint(), token, content, {
      uploadUrl: url,
      onBeforeRequest: (request) => {
        const offset = request.getHeader('Upload-Offset');
        if (offset !== undefined) offsets.push(Number(offset));
      },
    });
    expect(offsets[0]).toBe(3 * MiB);
    await expectFile(fileId, content, 'paused');
  });

  test('gets over a network that is cut and a server that is killed', async () => {
    const content = randomBytes(64 * MiB);
    await using proxy = await startTcpProxy({ targetPort: Number(new URL(server.url).port) });
    let sent = 0;
    const port = new URL(server.url).port;
    const uploading = uploadByTus(`${proxy.url}/api/uploads`, token, content, {
      metadata: { filename: 'killed' },
      onProgress: (bytes) => {
        sent = bytes;
      },
    });
    await eventually(() => sent > 4 * MiB);
    proxy.cut();
    proxy.restore();
    await eventually(() => sent > 8 * MiB);
    server = await server.restart({ PORT: port });
    const { fileId } = await uploading;
    call = createClient(server.url);
    await expectFile(fileId, content, 'killed');
  }, 60_000);
});
