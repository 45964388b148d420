import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../config/load.ts';
import { createServer } from '../server.ts';
import type { Command } from './command.ts';

export const openapiCommand: Command = {
  summary: 'Print the OpenAPI document',
  help: `Usage: bunkhouse openapi > openapi.json

Prints the document that the server shows at /swagger/json, for the servers that SERVERS mounts. Nothing is started.`,
  async run() {
    const config = loadConfig(process.env);
    const dataDir = mkdtempSync(join(tmpdir(), 'bunkhouse-openapi-'));
    try {
      const { storageUrl, bucketName, ...rest } = config;
      const databases = [{ kind: 'memory', name: 'main' } as const];
      const server = await createServer({
        ...rest,
        databases,
        storageUrl: undefined,
        bucketName: undefined,
        dataDir,
        logLevel: 'silent',
      });
      const document = await server.document();
      await server.stop();
      process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
    return 0;
  },
};
