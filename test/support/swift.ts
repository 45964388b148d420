import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { eventually } from './eventually.ts';
import { freePorts } from './free-ports.ts';
import type { TestBucket } from './test-bucket.ts';

/** Whether OpenStack Swift is on this machine; it is an S3 store that nobody of us has written. */
export const hasSwift = Bun.which('swift-proxy-server') !== null;
if (!hasSwift && process.env['CI'] === 'true') throw new Error('OpenStack Swift is missing: run ./bunkhouse test');

const SERVERS = ['account', 'container', 'object'] as const;
const CREDENTIALS = { accessKeyId: 'test:tester', secretAccessKey: 'testing', region: 'us-east-1' };

/** A Swift with its S3 front (`s3api`) of its own, on free ports, with its data in a temporary folder. */
export async function startSwift(): Promise<TestBucket> {
  const home = await mkdtemp(join(tmpdir(), 'bunkhouse-swift-'));
  const etc = join(home, 'etc');
  const devices = join(home, 'devices');
  await mkdir(join(devices, 'd1'), { recursive: true });
  await mkdir(etc);
  const ports = await freePorts(4);
  const [proxyPort = 0, ...storagePorts] = ports;
  const user = (await output(['id', '-un'])).trim();
  const common = (port: number) =>
    `[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = ${port}\nworkers = 0\nuser = ${user}\nswift_dir = ${etc}\n`;

  await writeFile(
    join(etc, 'swift.conf'),
    '[swift-hash]\nswift_hash_path_prefix = test\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = one\ndefault = yes\n',
  );
  await writeFile(join(etc, 'proxy-server.conf'), `${common(proxyPort)}${PROXY}`);
  for (const [index, name] of SERVERS.entries()) {
    const port = storagePorts[index] as number;
    await writeFile(
      join(etc, `${name}-server.conf`),
      `${common(port)}devices = ${devices}\nmount_check = false\n[pipeline:main]\npipeline = ${name}-server\n` +
        `[app:${name}-server]\nuse = egg:swift#${name}\nfallocate_reserve = 0\n`,
    );
  }
  await Promise.all(
    SERVERS.map(async (name, index) => {
      const builder = join(etc, `${name}.builder`);
      await output(['swift-ring-builder', builder, 'create', '4', '1', '0']);
      await output(['swift-ring-builder', builder, 'add', `r1z1-127.0.0.1:${storagePorts[index]}/d1`, '1']);
      await output(['swift-ring-builder', builder, 'rebalance']);
    }),
  );

  const children = [...SERVERS, 'proxy'].map((name) =>
    // They end with this process, however that ends.
    Bun.spawn(['setpriv', '--pdeathsig', 'KILL', `swift-${name}-server`, join(etc, `${name}-server.conf`)], {
      stdout: 'ignore',
      stderr: 'ignore',
    }),
  );
  const stop = async () => {
    for (const child of children) child.kill('SIGKILL');
    await Promise.all(children.map((child) => child.exited));
    await rm(home, { recursive: true, force: true });
  };

  const bucket = 'bunkhouse-test';
  const endpoint = `http://127.0.0.1:${proxyPort}`;
  const { region, ...credentials } = CREDENTIALS;
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true, maxAttempts: 1 });
  try {
    await eventually(async () => {
      if (children.some(({ exitCode }) => exitCode !== null)) throw new Error('a server of Swift ended');
      return client.send(new CreateBucketCommand({ Bucket: bucket })).then(
        () => true,
        () => false,
      );
    }, 90_000);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    client.destroy();
  }
  return { options: { endpoint, bucket, ...CREDENTIALS, isPathStyle: true }, stop };
}

const PROXY = `account_autocreate = true
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk s3api tempauth copy slo dlo versioned_writes symlink proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin .reseller_admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
${[
  'catch_errors',
  'gatekeeper',
  'healthcheck',
  'proxy_logging',
  'listing_formats',
  'bulk',
  'copy',
  'slo',
  'dlo',
  'versioned_writes',
  'symlink',
]
  .map((name) => `[filter:${name.replace('proxy_logging', 'proxy-logging')}]\nuse = egg:swift#${name}`)
  .join('\n')}
[filter:cache]
use = egg:swift#memcache
`;

async function output(command: string[]): Promise<string> {
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'pipe' });
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0)
    throw new Error(`${command.join(' ')}: ${text}${await new Response(child.stderr).text()}`);
  return text;
}
