import { DrizzleQueryError } from 'drizzle-orm';
import { pinoLogger } from '../../src/drivers/pino-logger.ts';

/** A process that logs everything that must not come out, at the level of its first argument. */
const level = (process.argv[2] ?? 'info') as 'debug' | 'info' | 'warn' | 'error' | 'silent';
const log = await pinoLogger({
  level,
  isPretty: false,
  secrets: ['the-secret-of-the-house-0123456789', 'short'],
  redactedFields: ['password', 'token', 'authorization'],
});

log.debug({}, 'at debug');
log.info({ password: 'hunter2', nested: { token: 'hunter2', kept: 'visible' }, kept: 'visible' }, 'fields');
log.child({ authorization: 'hunter2', request: 'r1' }).warn({ password: 'hunter2' }, 'child');
const cause = new Error('connecting with the-secret-of-the-house-0123456789 failed');
log.error({ err: cause }, 'message');
log.error({ err: new Error('outer', { cause }) }, 'cause');
log.error(
  { err: new DrizzleQueryError('insert into users values (?)', ['hunter2'], new Error('SQLITE_BUSY')) },
  'query',
);
log.error(
  { err: new Error('wrapped', { cause: new DrizzleQueryError('select ?', ['hunter2'], cause) }) },
  'wrapped query',
);
log.error({ err: Object.assign(new Error('with code'), { code: 'E_CODE', status: 403, query: 'hunter2' }) }, 'code');

const circle = new Error('circle');
circle.cause = circle;
log.error({ err: circle }, 'circle');
const ring: Record<string, unknown> = { name: 'ring' };
ring['self'] = ring;
log.info({ ring }, 'ring');
log.info({ big: 1n, date: new Date(0), none: undefined, nothing: null }, 'values');
for (const err of [null, undefined, 5, 'the-secret-of-the-house-0123456789', { message: 'hunter2' }])
  log.error({ err }, 'odd');
log.error({ err: Object.assign(new Error('x'), { message: 5 }) }, 'number as message');
log.error(
  {
    err: new Proxy(new Error('trap'), {
      get: () => {
        throw new Error('trapped');
      },
    }),
  },
  'trap',
);
log.info(
  {
    get boom() {
      throw new Error('getter');
    },
  },
  'getter',
);
log.line('"requestId":"r1","status":200,"msg":"request"');
log.info({ text: 'a\nb"c' }, 'line\nbreak');
log.info(
  { url: 'https://x.example/?key=the-secret-of-the-house-0123456789' },
  'the-secret-of-the-house-0123456789 in a message',
);
log.info({}, 'the end');
log.flush();
