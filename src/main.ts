import { findPlannedSettings } from './config/describe.ts';
import { ConfigError, type Environment, EXIT_CONFIG, loadConfig } from './config/load.ts';
import { createServer, type Server } from './server.ts';

/** Environment → settings → server → signals. Returns when the server runs; a first signal drains it, a second ends it. */
export async function serve(env: Environment): Promise<void> {
  let server: Server;
  try {
    const config = loadConfig(env);
    server = await createServer(config);
    const planned = findPlannedSettings(config);
    if (planned.length > 0) server.log.warn({ settings: planned }, 'these settings have no effect in this version');
  } catch (error) {
    fail(error);
  }

  // Nothing that a plugin, a job or a client does may end the process.
  process.on('uncaughtException', (error) => server.log.error({ err: error }, 'an exception was not caught'));
  process.on('unhandledRejection', (error) => server.log.error({ err: error }, 'a rejection was not handled'));

  let signals = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    signals += 1;
    if (signals > 1) process.exit(1);
    server.log.info({ signal }, 'shutting down');
    // SIGTERM comes from a supervisor, whose load balancer polls; Ctrl-C from a person, who waits.
    server.stop(signal === 'SIGTERM' ? NOTICE_MS : 0).then(() => process.exit(0));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // As php-fpm itself does.
  process.on('SIGUSR2', () => void server.reload());

  try {
    const { url, setUpUrl } = await server.start();
    process.stdout.write(`Bunkhouse is running at ${url}\n`);
    if (setUpUrl) process.stdout.write(`There is no admin yet. Create one at ${setUpUrl}\n`);
  } catch (error) {
    await server.stop();
    fail(error);
  }
}

/** How long readiness says 503 before the listener closes, in milliseconds. */
const NOTICE_MS = 500;

function fail(error: unknown): never {
  process.stderr.write(`bunkhouse: ${error instanceof Error ? error.message : 'the server could not start'}\n`);
  process.exit(error instanceof ConfigError ? EXIT_CONFIG : 1);
}

if (import.meta.main) await serve(process.env);
