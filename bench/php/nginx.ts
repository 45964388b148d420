import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Bench } from '../harness/area.ts';
import type { RunningServer } from '../harness/server.ts';
import { CHILDREN } from './php-fpm.ts';

export interface NginxOptions {
  readonly name: string;
  /** The folder `php` of the site; it is served at `/php`. */
  readonly root: string;
  readonly socket: string;
  /** Keeps as many connections to php-fpm as it has children. */
  readonly keepAlive?: boolean;
  /** Keeps answers as their headers say. */
  readonly cache?: boolean;
}

/** Debian's nginx with one worker, as people run it: an access log, scripts split from PATH_INFO. */
export async function startNginx(bench: Bench, options: NginxOptions): Promise<RunningServer> {
  const folder = join(bench.workDir, `nginx-${options.name}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'nginx.template'), config(folder, options));
  return bench.start({
    name: options.name,
    // The port comes from the environment, which nginx does not read.
    command: [
      'sh',
      '-c',
      `sed "s/@PORT@/$PORT/" ${folder}/nginx.template > ${folder}/nginx.conf && exec nginx -c ${folder}/nginx.conf`,
    ],
    env: {},
    readyPath: '/php/hello.php',
  });
}

function config(folder: string, { root, socket, keepAlive = false, cache = false }: NginxOptions): string {
  return `# One process, so that what is stopped and measured is what answers.
master_process off;
daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log ${folder}/access.log;
  client_body_temp_path ${folder}/body;
  fastcgi_temp_path ${folder}/fastcgi;
  proxy_temp_path ${folder}/proxy;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  ${cache ? `fastcgi_cache_path ${folder}/cache keys_zone=php:10m;` : ''}
  upstream php { server unix:${socket}; ${keepAlive ? `keepalive ${CHILDREN};` : ''} }
  server {
    listen 127.0.0.1:@PORT@;
    root ${dirname(root)};
    location ~ ^(.+\\.php)(/.*)?$ {
      include /etc/nginx/fastcgi_params;
      fastcgi_split_path_info ^(.+\\.php)(/.*)$;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_param PATH_INFO $fastcgi_path_info;
      fastcgi_pass php;
      ${keepAlive ? 'fastcgi_keep_conn on;' : ''}
      ${cache ? 'fastcgi_cache php; fastcgi_cache_key $scheme$host$request_uri;' : ''}
    }
  }
}
`;
}
