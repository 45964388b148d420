import { createAddresses } from './html-address.ts';
import { readMicrodata } from './html-microdata.ts';
import { readPage } from './html-page.ts';
import type { Scan } from './html-scan.ts';
import type { Warning } from './job.ts';
import type { View } from './view.ts';

/** Most JSON-LD blocks, links and tags of one kind that are listed. */
const MAX_ITEMS = 200;

interface Found {
  language: string | null;
  base: string | null;
  title: string | null;
  readonly metas: { readonly name: string; readonly content: string }[];
  readonly links: { readonly rel: string; readonly href: string; readonly attributes: Record<string, string> }[];
  readonly jsonLd: string[];
}

/** What a page says of itself: for previews, search and feeds. Streams through the page, however large. */
export function metaView(scan: Scan): View {
  return ({ text, url, charset }) => {
    const found = gather(scan, text);
    const addresses = createAddresses(url, found.base);
    const warnings: Warning[] = [];
    const one = (...names: string[]) => {
      for (const name of names) {
        const value = found.metas.find((meta) => meta.name === name)?.content.trim();
        if (value) return value;
      }
      return null;
    };
    const address = (value: string | null) => (value === null ? null : addresses.resolve(value));
    const linked = (rel: string) => found.links.filter((link) => link.rel.split(/\s+/).includes(rel));
    const href = (rel: string) => address(linked(rel)[0]?.href ?? null);
    const jsonLd = readJsonLd(found.jsonLd, warnings);

    const result = {
      title: found.title ?? one('og:title', 'twitter:title'),
      description: one('description', 'og:description', 'twitter:description'),
      url: href('canonical') ?? address(one('og:url')) ?? url,
      canonical: href('canonical'),
      language: found.language ?? one('content-language', 'og:locale'),
      charset: { name: charset.name, by: charset.by },
      author: one('author', 'article:author', 'twitter:creator'),
      publisher: one('og:site_name', 'application-name', 'publisher'),
      image: address(one('og:image:secure_url', 'og:image', 'og:image:url', 'twitter:image', 'twitter:image:src')),
      published: one('article:published_time', 'date', 'dc.date', 'datepublished'),
      modified: one('article:modified_time', 'og:updated_time', 'last-modified'),
      keywords: (one('keywords') ?? '')
        .split(',')
        .map((word) => word.trim())
        .filter(Boolean),
      robots: one('robots'),
      viewport: one('viewport'),
      generator: one('generator'),
      themeColor: one('theme-color'),
      openGraph: collect(found.metas, /^(og|article|book|profile|video|music|fb|product):/, ''),
      twitter: collect(found.metas, /^twitter:/, 'twitter:'),
      jsonLd,
      microdata: /\bitemscope\b/i.test(text) ? readMicrodata(readPage({ text, url }).document, addresses) : [],
      icons: found.links
        .filter(({ rel }) => /(^|\s)(icon|apple-touch-icon(-precomposed)?|mask-icon)(\s|$)/.test(rel))
        .map(({ rel, href: at, attributes }) => ({
          rel,
          href: addresses.resolve(at),
          ...pick(attributes, ['type', 'sizes', 'color']),
        })),
      feeds: linked('alternate')
        .filter(({ attributes }) =>
          /^application\/((rss|atom)\+xml|feed\+json|json(?!\+))\b/i.test(attributes['type'] ?? ''),
        )
        .map(({ href: at, attributes }) => ({ href: addresses.resolve(at), ...pick(attributes, ['type', 'title']) })),
      oembed: linked('alternate')
        .filter(({ attributes }) => /^(application|text)\/(json|xml)\+oembed\b/i.test(attributes['type'] ?? ''))
        .map(({ href: at, attributes }) => ({ href: addresses.resolve(at), ...pick(attributes, ['type', 'title']) })),
      alternates: linked('alternate')
        .filter(({ attributes }) => attributes['hreflang'])
        .map(({ href: at, attributes }) => ({
          href: addresses.resolve(at),
          ...pick(attributes, ['hreflang', 'media']),
        })),
      manifest: href('manifest'),
      amp: href('amphtml'),
    };
    return { result, warnings };
  };
}

function gather(scan: Scan, text: string): Found {
  let isOfDrawing = false;
  const found: Found = { language: null, base: null, title: null, metas: [], links: [], jsonLd: [] };
  scan(text, {
    html: {
      tag: (tag) => {
        found.language ??= tag.attribute('lang') || null;
      },
    },
    base: {
      tag: (tag) => {
        found.base ??= tag.attribute('href');
      },
    },
    // A drawing may have titles of its own.
    'svg title': {
      tag: () => {
        isOfDrawing = true;
      },
    },
    title: {
      text: (title) => {
        if (!isOfDrawing) found.title ??= title.replace(/\s+/g, ' ').trim() || null;
        isOfDrawing = false;
      },
    },
    meta: {
      tag: (tag) => {
        const content = tag.attribute('content');
        const name =
          tag.attribute('property') ??
          tag.attribute('name') ??
          tag.attribute('http-equiv') ??
          tag.attribute('itemprop');
        if (content === null || !name || found.metas.length >= MAX_ITEMS * 5) return;
        found.metas.push({ name: name.trim().toLowerCase(), content });
      },
    },
    link: {
      tag: (tag) => {
        const href = tag.attribute('href');
        const rel = tag.attribute('rel')?.toLowerCase().trim();
        if (!href || !rel || found.links.length >= MAX_ITEMS * 5) return;
        const attributes: Record<string, string> = {};
        for (const name of ['type', 'title', 'sizes', 'color', 'hreflang', 'media']) {
          const value = tag.attribute(name);
          if (value !== null) attributes[name] = value;
        }
        found.links.push({ rel, href, attributes });
      },
    },
    'script[type="application/ld+json" i]': {
      text: (json) => {
        if (found.jsonLd.length < MAX_ITEMS) found.jsonLd.push(json);
      },
    },
  });
  return found;
}

/** JSON-LD 1.1 §7: blocks that are no JSON are left out and named. */
function readJsonLd(blocks: readonly string[], warnings: Warning[]): unknown[] {
  const values: unknown[] = [];
  for (const block of blocks) {
    try {
      const value: unknown = JSON.parse(block.replace(/^\s*(<!--|\/\/\s*<!\[CDATA\[)|(-->|\/\/\s*\]\]>)\s*$/g, ''));
      values.push(...(Array.isArray(value) ? value : [value]));
    } catch {
      warnings.push({ code: 'invalid-json-ld', message: 'A JSON-LD block is not valid JSON.' });
    }
  }
  return values;
}

/** Properties by name without the prefix; those that come several times are lists. */
function collect(metas: Found['metas'], pattern: RegExp, prefix: string): Record<string, string | string[]> {
  const values = new Map<string, string[]>();
  for (const { name, content } of metas) {
    if (!pattern.test(name)) continue;
    const key = name.slice(prefix.length);
    values.set(key, [...(values.get(key) ?? []), content]);
  }
  return Object.fromEntries([...values].map(([key, all]) => [key, all.length === 1 ? (all[0] as string) : all]));
}

function pick(attributes: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (attributes[name] === undefined ? [] : [[name, attributes[name]]])),
  );
}
