import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Starts nginx on `PORT`: the files of `ROOT` at `/`, and `ORIGIN` through its cache at `/cached/`. One process, as it is pinned. */
const { PORT, ROOT = '.', ORIGIN = '', WORK = '.' } = process.env;
mkdirSync(join(WORK, 'cache'), { recursive: true });
const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
  (name) => `${name}_temp_path ${WORK}/${name};`,
);
const config = `
daemon off; master_process off; pid ${WORK}/pid; error_log stderr error; worker_processes 1;
events { worker_connections 1024; }
http {
  access_log ${WORK}/access.log combined buffer=64k;
  sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=1000;
  types { text/css css; application/octet-stream bin; }
  ${temporary.join(' ')}
  proxy_cache_path ${WORK}/cache keys_zone=answers:10m;
  server {
    listen 127.0.0.1:${PORT};
    location /cached/ { proxy_pass ${ORIGIN}; proxy_cache answers; }
    location / { root ${ROOT}; }
  }
}`;
const file = join(WORK, 'nginx.conf');
writeFileSync(file, config);
process.exit(await Bun.spawn(['nginx', '-p', WORK, '-c', file], { stdio: ['ignore', 'inherit', 'inherit'] }).exited);
