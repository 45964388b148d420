import { eventually } from './eventually.ts';
import type { TestServer } from './server.ts';

/** The lines of one level in what a server wrote. */
export function logLines(output: string, level: 'debug' | 'info' | 'warn' | 'error'): Record<string, unknown>[] {
  return output
    .split('\n')
    .filter((line) => line.startsWith(`{"level":"${level}"`))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Everything the server has written about what was asked of it until now. */
export async function writtenLog(server: Pick<TestServer, 'url' | 'output'>): Promise<string> {
  const mark = `mark-${crypto.randomUUID()}`;
  await fetch(`${server.url}/health/ready`, { headers: { 'x-request-id': mark } });
  await eventually(() => server.output().includes(mark));
  return server.output();
}
