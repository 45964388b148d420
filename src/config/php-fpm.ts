import { text, ValueFault } from './values.ts';

/** How php-fpm is reached. */
export type PhpFpmSetting = 'spawn' | { readonly unix: string } | { readonly hostname: string; readonly port: number };

/** `spawn`, `unix:/path` or `tcp://host:port`. */
export function phpFpm(options: { readonly env: string; readonly default: string; readonly description: string }) {
  const { read, ...setting } = text(options);
  return { ...setting, read: (value: string): PhpFpmSetting => parse(read(value)) };
}

function parse(value: string): PhpFpmSetting {
  if (value === 'spawn') return value;
  const unix = /^unix:(?:\/\/)?(\/[^\0]+)$/.exec(value)?.[1];
  if (unix !== undefined) return { unix };
  const tcp = /^tcp:\/\/(\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})$/i.exec(value);
  const port = Number(tcp?.[2] ?? 0);
  if (!tcp?.[1] || port < 1 || port > 65_535) throw new ValueFault('must be spawn, unix:/PATH or tcp://HOST:PORT');
  return { hostname: tcp[1].replace(/^\[|\]$/g, ''), port };
}
