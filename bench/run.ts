import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backups } from './backups/index.ts';
import { cache } from './cache/index.ts';
import { core } from './core/index.ts';
import { database } from './database/index.ts';
import type { Area } from './harness/area.ts';
import { describeRun } from './harness/machine.ts';
import { type Options, readOptions, USAGE } from './harness/options.ts';
import { createReport } from './harness/report.ts';
import { writeSection } from './harness/results-file.ts';
import { type RunningServer, startServer } from './harness/server.ts';
import { needTools } from './harness/tools.ts';
import { parse } from './parse/index.ts';
import { php } from './php/index.ts';
import { sockets } from './sockets/index.ts';
import { uploads } from './uploads/index.ts';

const AREAS: readonly Area[] = [core, database, sockets, cache, uploads, backups, parse, php];

const RESULTS = join(import.meta.dir, 'RESULTS.md');

try {
  const options = readOptions(Bun.argv.slice(2));
  const area = AREAS.find((each) => each.name === options.area);
  if (area) {
    await runArea(area, options);
  } else if (options.area === undefined) {
    console.log(`${USAGE}\n\nareas:\n${AREAS.map((each) => `  ${each.name}  ${each.summary}`).join('\n')}`);
  } else {
    throw new Error(`no area ${options.area}; there are ${AREAS.map((each) => each.name).join(', ')}`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function runArea(area: Area, options: Options): Promise<void> {
  if (options.only !== undefined && !area.measures.includes(options.only)) {
    throw new Error(`${area.name} has no measure ${options.only}; it has ${area.measures.join(', ')}`);
  }
  await needTools({ wrk: 'wrk', node: 'nodejs', npm: 'npm' });
  const workDir = mkdtempSync(join(tmpdir(), 'bunkhouse-bench-'));
  const servers: RunningServer[] = [];
  const cleanUp = async () => {
    await Promise.allSettled(servers.map((server) => server.stop()));
    rmSync(workDir, { recursive: true, force: true });
  };
  process.once('SIGINT', () => void cleanUp().then(() => process.exit(130)));
  process.once('SIGTERM', () => void cleanUp().then(() => process.exit(143)));
  const report = createReport();
  try {
    const peers = await area.run({
      options,
      workDir,
      report,
      wants: (measure) => options.only === undefined || options.only === measure,
      start: async (spec) => {
        const server = await startServer(spec, workDir);
        servers.push(server);
        return server;
      },
      say: (line) => console.error(line),
    });
    const header = await describeRun(options.runs, options.seconds, workDir, peers);
    const section = `## ${area.name}\n\n${area.summary}\n\n${header}\n\n${report.toMarkdown()}`;
    console.log(section);
    if (options.isRecorded) writeSection(RESULTS, area.name, section);
    for (const miss of report.misses()) console.error(`missed: ${miss.what}`);
  } finally {
    await cleanUp();
  }
}
