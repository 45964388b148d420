import Uppy from '@uppy/core';
import Tus from '@uppy/tus';

/** What the test in the browser calls: sends one file with Uppy's tus plugin, as a web page would. */
async function send(endpoint: string, token: string, size: number, parallelUploads: number) {
  const content = new Uint8Array(size).map((_, at) => (at * 31) & 0xff);
  const uppy = new Uppy({ autoProceed: false }).use(Tus, {
    endpoint,
    headers: { authorization: `Bearer ${token}` },
    chunkSize: 1024 * 1024,
    parallelUploads,
    removeFingerprintOnSuccess: true,
  });
  let fileId: string | null = null;
  uppy.getPlugin('Tus')?.setOptions({
    onAfterResponse(_request: unknown, response: { getHeader(name: string): string | undefined }) {
      fileId = response.getHeader('Upload-File-Id') ?? fileId;
    },
  });
  uppy.addFile({ name: 'from a page.bin', type: 'text/html', data: new Blob([content]) });
  const result = await uppy.upload();
  return { successful: result?.successful?.length, failed: result?.failed?.map(({ error }) => error), fileId };
}

Object.assign(globalThis, { send });
