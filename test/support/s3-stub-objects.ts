import { createHash, randomUUID } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface StubObject {
  readonly path: string;
  readonly size: number;
  readonly etag: string;
  readonly type: string;
  readonly atMs: number;
}

export interface StubUpload {
  readonly name: string;
  readonly type: string;
  readonly atMs: number;
  readonly parts: Map<number, { readonly path: string; readonly size: number; readonly etag: string }>;
}

export interface StubObjectsOptions {
  readonly now: () => number;
  readonly minPartBytes: number;
  readonly wantsEqualParts: boolean;
}

/** What the stub keeps: bytes in files, so that a test of memory does not measure the store. */
export interface StubObjects {
  readonly objects: Map<string, StubObject>;
  readonly uploads: Map<string, StubUpload>;
  put(name: string, content: Uint8Array, type: string): StubObject;
  open(name: string, type: string): string;
  putPart(uploadId: string, number: number, content: Uint8Array): string | null;
  /** @returns the code of what is wrong, or the object. */
  complete(
    uploadId: string,
    wanted: readonly { readonly number: number; readonly etag: string }[],
  ): StubObject | string;
  /** All that is kept in any form. */
  everything(): string[];
  /** Makes an object, or an upload, look older. */
  age(nameOrUploadId: string, ms: number): void;
  clear(): void;
}

export function createStubObjects({ now, minPartBytes, wantsEqualParts }: StubObjectsOptions): StubObjects {
  const directory = mkdtempSync(join(tmpdir(), 'bunkhouse-s3-'));
  const objects = new Map<string, StubObject>();
  const uploads = new Map<string, StubUpload>();
  const keep = (content: Uint8Array): string => {
    const path = join(directory, randomUUID());
    writeFileSync(path, content);
    return path;
  };
  return {
    objects,
    uploads,
    put(name, content, type) {
      const object = { path: keep(content), size: content.length, etag: etagOf(content), type, atMs: now() };
      objects.set(name, object);
      return object;
    },
    open(name, type) {
      const id = randomUUID();
      uploads.set(id, { name, type, atMs: now(), parts: new Map() });
      return id;
    },
    putPart(uploadId, number, content) {
      const upload = uploads.get(uploadId);
      if (!upload) return null;
      const etag = etagOf(content);
      upload.parts.set(number, { path: keep(content), size: content.length, etag });
      return etag;
    },
    complete(uploadId, wanted) {
      const upload = uploads.get(uploadId);
      if (!upload) return 'NoSuchUpload';
      const parts = wanted.map(({ number }) => upload.parts.get(number));
      if (parts.length === 0 || parts.some((part, index) => part?.etag !== wanted[index]?.etag)) return 'InvalidPart';
      if (wanted.some(({ number }, index) => index > 0 && number <= (wanted[index - 1]?.number ?? 0))) {
        return 'InvalidPartOrder';
      }
      const inner = parts.slice(0, -1);
      if (inner.some((part) => (part?.size ?? 0) < minPartBytes)) return 'EntityTooSmall';
      if (wantsEqualParts && inner.some((part) => part?.size !== parts[0]?.size)) return 'InvalidPart';
      const path = keep(Buffer.of());
      let size = 0;
      for (const part of parts) {
        if (!part) continue;
        appendFileSync(path, readFileSync(part.path));
        rmSync(part.path);
        size += part.size;
      }
      const etag = `"${createHash('md5').update(uploadId).digest('hex')}-${parts.length}"`;
      const object = { path, size, etag, type: upload.type, atMs: now() };
      objects.set(upload.name, object);
      uploads.delete(uploadId);
      return object;
    },
    everything: () => [...objects.keys(), ...[...uploads.values()].map(({ name }) => `upload of ${name}`)].sort(),
    age(id, ms) {
      const [object, upload] = [objects.get(id), uploads.get(id)];
      if (object) objects.set(id, { ...object, atMs: object.atMs - ms });
      if (upload) uploads.set(id, { ...upload, atMs: upload.atMs - ms });
    },
    clear: () => rmSync(directory, { recursive: true, force: true }),
  };
}

function etagOf(content: Uint8Array): string {
  return `"${createHash('md5').update(content).digest('hex')}"`;
}
