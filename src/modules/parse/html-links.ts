import { type Addresses, createAddresses, readSrcset } from './html-address.ts';
import type { Scan, ScannedTag } from './html-scan.ts';
import type { View } from './view.ts';

/** Most links or assets of one page that are listed. */
const MAX_ITEMS = 50_000;

/** Where a page leads. */
export function linksView(scan: Scan): View {
  return ({ text, url }) => {
    const found: { readonly tag: ScannedTag; readonly text: string }[] = [];
    const base = { href: null as string | null };
    const keep = (tag: ScannedTag, label: string) => {
      if (found.length < MAX_ITEMS) found.push({ tag, text: label });
    };
    scan(text, {
      base: firstBase(base),
      'a[href]': { text: (label, tag) => keep(tag, label.replace(/\s+/g, ' ').trim()) },
      'area[href]': { text: (_, tag) => keep(tag, tag.attribute('alt') ?? '') },
    });
    const addresses = createAddresses(url, base.href);
    return { result: found.map(({ tag, text: label }) => describeLink(tag, label, addresses)), warnings: [] };
  };
}

function describeLink(tag: ScannedTag, text: string, addresses: Addresses) {
  const href = tag.attribute('href') as string;
  const url = addresses.resolve(href);
  const rel = tag.attribute('rel')?.toLowerCase().split(/\s+/).filter(Boolean) ?? [];
  const origin = URL.parse(url)?.origin;
  return {
    url,
    href,
    text,
    rel,
    kind: kindOf(href, url),
    isInternal: addresses.origin === null ? !URL.canParse(href) : origin === addresses.origin,
    isFollowed: !rel.some((word) => word === 'nofollow' || word === 'ugc' || word === 'sponsored'),
    ...(tag.attribute('hreflang') ? { language: tag.attribute('hreflang') } : {}),
    ...(tag.attribute('download') !== null ? { download: true } : {}),
  };
}

function kindOf(href: string, url: string): 'page' | 'fragment' | 'mail' | 'phone' | 'script' | 'other' {
  if (href.trim().startsWith('#')) return 'fragment';
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
    case 'http':
    case 'https':
      return 'page';
    case 'mailto':
      return 'mail';
    case 'tel':
    case 'sms':
      return 'phone';
    case 'javascript':
      return 'script';
    default:
      return 'other';
  }
}

type AssetKind =
  | 'image'
  | 'script'
  | 'style'
  | 'font'
  | 'video'
  | 'audio'
  | 'track'
  | 'frame'
  | 'embed'
  | 'manifest'
  | 'preload';

interface Asset {
  readonly kind: AssetKind;
  readonly url: string;
  readonly element: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What a page loads. */
export function assetsView(scan: Scan): View {
  return ({ text, url }) => {
    const found: Asset[] = [];
    const base = { href: null as string | null };
    const keep = (kind: AssetKind, tag: ScannedTag, address: string | null, names: readonly string[] = []) => {
      if (!address?.trim() || found.length >= MAX_ITEMS) return;
      const attributes = names.flatMap((name) => {
        const value = tag.attribute(name);
        return value === null ? [] : [[name, value]];
      });
      found.push({ kind, url: address, element: tag.name, attributes: Object.fromEntries(attributes) });
    };
    const keepSet = (tag: ScannedTag, name: string) => {
      for (const candidate of readSrcset(tag.attribute(name) ?? '')) keep('image', tag, candidate.url);
    };
    scan(text, {
      base: firstBase(base),
      img: {
        tag: (tag) => {
          keep('image', tag, tag.attribute('src'), ['alt', 'width', 'height', 'loading']);
          keepSet(tag, 'srcset');
        },
      },
      'input[type="image" i]': { tag: (tag) => keep('image', tag, tag.attribute('src')) },
      'image, use': { tag: (tag) => keep('image', tag, tag.attribute('href') ?? tag.attribute('xlink:href')) },
      source: {
        tag: (tag) => {
          const type = tag.attribute('type') ?? '';
          keep(type.startsWith('audio/') ? 'audio' : 'video', tag, tag.attribute('src'), ['type']);
          keepSet(tag, 'srcset');
        },
      },
      video: {
        tag: (tag) => {
          keep('video', tag, tag.attribute('src'));
          keep('image', tag, tag.attribute('poster'));
        },
      },
      audio: { tag: (tag) => keep('audio', tag, tag.attribute('src')) },
      track: { tag: (tag) => keep('track', tag, tag.attribute('src'), ['kind', 'srclang']) },
      script: {
        tag: (tag) => keep('script', tag, tag.attribute('src'), ['type', 'async', 'defer', 'integrity', 'crossorigin']),
      },
      link: {
        tag: (tag) => {
          const kind = linkKind(tag);
          if (kind)
            keep(kind, tag, tag.attribute('href'), ['rel', 'as', 'type', 'media', 'sizes', 'integrity', 'crossorigin']);
          if (kind === 'preload') keepSet(tag, 'imagesrcset');
        },
      },
      'iframe, frame': { tag: (tag) => keep('frame', tag, tag.attribute('src'), ['loading', 'sandbox']) },
      embed: { tag: (tag) => keep('embed', tag, tag.attribute('src'), ['type']) },
      object: { tag: (tag) => keep('embed', tag, tag.attribute('data'), ['type']) },
    });
    const addresses = createAddresses(url, base.href);
    return { result: found.map((asset) => ({ ...asset, url: addresses.resolve(asset.url) })), warnings: [] };
  };
}

function linkKind(tag: ScannedTag): AssetKind | null {
  const rel = tag.attribute('rel')?.toLowerCase().split(/\s+/) ?? [];
  if (rel.includes('stylesheet')) return 'style';
  if (rel.some((word) => word === 'icon' || word === 'mask-icon' || word.startsWith('apple-touch-'))) return 'image';
  if (rel.includes('manifest')) return 'manifest';
  if (rel.includes('modulepreload')) return 'script';
  if (!rel.includes('preload') && !rel.includes('prefetch')) return null;
  return tag.attribute('as')?.toLowerCase() === 'font' ? 'font' : 'preload';
}

/** The first `<base href>` counts (HTML §4.2.3). */
function firstBase(base: { href: string | null }) {
  return {
    tag: (tag: ScannedTag) => {
      base.href ??= tag.attribute('href');
    },
  };
}
