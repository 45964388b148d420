const REVALIDATE = 'public, max-age=0, must-revalidate';
const FOREVER = 'public, max-age=31536000, immutable';

/** `Cache-Control` of a public file: a name that carries a hash of the content never changes its content. */
export function cachePolicyOf(name: string): string {
  return hasContentHash(name) ? FOREVER : REVALIDATE;
}

/**
 * Whether a name was made by a bundler that puts a content hash before the extension: `app.3f9a2c1b.js`,
 * `app-BKZ3x9Qw.css`, `app.3f9a2c1b.js.map`.
 *
 * A false yes would keep an outdated file in browsers for a year, a false no costs one 304. So words (`my-settings.js`),
 * dates (`report-20240101.css`) and versions (`lib-version2.js`) must not look like hashes, and where a hash happens to
 * look like a word it is not believed.
 */
export function hasContentHash(name: string): boolean {
  const stem =
    /^(.+)\.(?:js|mjs|css|wasm|json|svg|png|jpe?g|gif|webp|avif|ico|woff2?|ttf|otf|mp3|mp4|webm)(?:\.map)?$/i.exec(
      name,
    )?.[1];
  if (stem === undefined) return false;
  const hex = /[.-]([0-9a-f]{8,64})$/.exec(stem)?.[1];
  if (hex !== undefined && /\d/.test(hex) && /[a-f]/.test(hex)) return true;
  const mixed = /[.-]([A-Za-z0-9_-]{8})$/.exec(stem)?.[1];
  return mixed !== undefined && /\d[A-Za-z]/.test(mixed) && /[a-z]/.test(mixed) && /[A-Z]/.test(mixed);
}
