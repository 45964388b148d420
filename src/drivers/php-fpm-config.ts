export interface PhpFpmConfig {
  /** A folder of ours alone, for sockets, logs and this file. */
  readonly runDir: string;
  readonly socket: string;
  readonly statusSocket: string;
  readonly children: number;
  /** Numbers of the user and group that scripts run as; `null` when we are not root and they are our own. */
  readonly owner: { readonly uid: number; readonly gid: number } | null;
  /** Largest body that a request may carry, in bytes; 0 for no limit. PHP's own limits are set to it. */
  readonly maxBodyBytes: number;
}

/** After this a request that still runs is ended by php-fpm: the last resort for scripts that write nothing and never end. */
const TERMINATE_SECONDS = 600;
const SLOW_SECONDS = 5;
/** Children are replaced after so many requests, so that leaks of applications do not add up. */
const MAX_REQUESTS = 500;
/** How long running scripts may take to end at a reload (without it they would be cut at once). */
export const CONTROL_SECONDS = 10;
const NO_LIMIT_BYTES = 2 ** 50;

/** The configuration of a php-fpm that serves us alone (https://www.php.net/manual/en/install.fpm.configuration.php). */
export function phpFpmConfig({ runDir, socket, statusSocket, children, owner, maxBodyBytes }: PhpFpmConfig): string {
  return `; Written at every start; changes are lost.
[global]
daemonize = no
; Standard error may be a pipe, which cannot be opened by name: -O sends the log there.
error_log = ${runDir}/php-fpm.log
process_control_timeout = ${CONTROL_SECONDS}s

[bunkhouse]
${owner ? `user = ${owner.uid}\ngroup = ${owner.gid}\n` : ''}listen = ${socket}
listen.mode = 0600
listen.backlog = 511
pm = static
; The bridge opens exactly as many connections: each kept one pins a child.
pm.max_children = ${children}
pm.max_requests = ${MAX_REQUESTS}
pm.status_path = /status
ping.path = /ping
; A socket of their own, so that they are answered when every child is busy.
pm.status_listen = ${statusSocket}
catch_workers_output = yes
decorate_workers_output = no
; Nothing of our environment reaches a script.
clear_env = yes
request_terminate_timeout = ${TERMINATE_SECONDS}s
request_slowlog_timeout = ${SLOW_SECONDS}s
slowlog = ${runDir}/slow.log
; The second lock behind our own resolution of paths.
security.limit_extensions = .php
php_admin_value[cgi.fix_pathinfo] = 0
php_admin_flag[expose_php] = off
php_admin_flag[log_errors] = on
php_value[post_max_size] = ${maxBodyBytes}
php_value[upload_max_filesize] = ${maxBodyBytes || NO_LIMIT_BYTES}
`;
}
