import type { Bench } from '../harness/area.ts';
import { signUp, startBunkhouse } from '../harness/bunkhouse.ts';
import { compare } from '../harness/compare.ts';
import { MULTIPART, writeMultipart } from '../harness/multipart.ts';
import { startPocketBase } from '../peers/pocketbase.ts';

const BYTES = 10 * 1024;
const CONNECTIONS = 16;
const FLOOR = 1.2;

/** A small file in a form: ours is flushed to the disk before it is answered. @returns the peers' versions. */
export async function measureCreate(bench: Bench): Promise<string[]> {
  const bodyFile = await writeMultipart(bench.workDir, BYTES);
  const server = await startBunkhouse(bench, 'create', {}, false);
  const headers = await signUp(server);
  const peer = await startPocketBase(bench, false);
  const load = { bodyFile, connections: CONNECTIONS };
  await compare(bench, {
    title: 'a file of 10 KB in a form',
    ours: {
      name: 'bunkhouse (fsynced)',
      server,
      load: { ...load, path: '/api/files', headers: { ...headers, ...MULTIPART } },
    },
    peers: [
      {
        name: 'PocketBase',
        server: peer.server,
        load: { ...load, path: peer.files, headers: { ...peer.headers, ...MULTIPART } },
        atLeast: FLOOR,
      },
    ],
    isWriting: true,
  });
  await Promise.all([server.stop(), peer.server.stop()]);
  return peer.versions;
}
