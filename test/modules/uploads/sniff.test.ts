import { expect, test } from 'bun:test';
import { SNIFF_BYTES, sniffType } from '../../../src/modules/uploads/sniff.ts';

const TEXT = 'text/plain;charset=utf-8';
const OPAQUE = 'application/octet-stream';
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const cases: { what: string; head: string | Uint8Array; type: string }[] = [
  { what: 'a PNG image', head: PNG, type: 'image/png' },
  { what: 'a JPEG image', head: Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'), type: 'image/jpeg' },
  { what: 'a PDF', head: '%PDF-1.7\n%âãÏÓ\n', type: 'application/pdf' },
  { what: 'a ZIP', head: Buffer.from('504b0506000000000000000000000000000000000000', 'hex'), type: 'application/zip' },
  { what: 'a GIF that is a script as well', head: 'GIF89a/*\0\0*/=1;alert(1)', type: 'image/gif' },
  { what: 'a cut-off PNG', head: PNG.subarray(0, 12), type: OPAQUE },
  { what: 'plain text', head: 'just words', type: TEXT },
  { what: 'text in another script', head: 'слова — 言葉 🙂', type: TEXT },
  { what: 'text with a byte order mark', head: '\ufeffwords', type: TEXT },
  { what: 'JSON', head: '{"a": 1}', type: TEXT },
  { what: 'CSV with tabs', head: 'a\tb\r\n1\t2\r\n', type: TEXT },
  { what: 'text that mentions a tag', head: 'use <svg> or <html> here', type: TEXT },
  { what: 'a comparison', head: 'a <b', type: TEXT },
  {
    what: 'text cut inside a character',
    head: Buffer.from(`a${'é'.repeat(SNIFF_BYTES)}`).subarray(0, SNIFF_BYTES),
    type: TEXT,
  },
  { what: 'a short file that ends inside a character', head: Buffer.from('é').subarray(0, 1), type: OPAQUE },
  { what: 'control characters', head: 'text\0more', type: OPAQUE },
  { what: 'random bytes', head: Buffer.from('8f3a91c2d4e5', 'hex'), type: OPAQUE },
  { what: 'nothing', head: '', type: OPAQUE },
  {
    what: 'SVG',
    head: '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    type: 'image/svg+xml',
  },
  { what: 'SVG behind a declaration', head: '<?xml version="1.0"?>\n<svg xmlns="x"/>', type: 'image/svg+xml' },
  {
    what: 'SVG behind comment and doctype',
    head: '<!-- a -->\n<!-- b --><!DOCTYPE svg PUBLIC "x" "y">\n<svg/>',
    type: 'image/svg+xml',
  },
  {
    what: 'SVG behind an internal subset',
    head: '<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "b">]><svg/>',
    type: 'image/svg+xml',
  },
  { what: 'SVG with a prefix', head: '<?xml version="1.0"?><x:svg xmlns:x="y"/>', type: 'image/svg+xml' },
  { what: 'HTML', head: '<!DOCTYPE html><html></html>', type: 'text/html' },
  { what: 'HTML without a doctype, in capitals', head: '  \n<SCRIPT>alert(1)</SCRIPT>', type: 'text/html' },
  { what: 'HTML behind a comment', head: '<!-- x --><body onload=alert(1)>', type: 'text/html' },
  { what: 'HTML behind a byte order mark', head: '\ufeff<html>', type: 'text/html' },
  {
    what: 'XHTML',
    head: '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>',
    type: 'application/xhtml+xml',
  },
  { what: 'other XML', head: '<?xml version="1.0"?><feed/>', type: 'application/xml' },
];

test.each(cases)('$what is $type', async ({ head, type }) => {
  expect(await sniffType(typeof head === 'string' ? Buffer.from(head) : head)).toBe(type);
});

/** So long that work which grows with its square takes minutes, and such that grows with its length milliseconds. */
const LONG = 2 ** 19;
const endless = {
  'opened comments': ['', '<!--'],
  'opened document types': ['<?xml ?>', '<!doctype ['],
  'the name of a document type': ['<?xml ?><!doctype ', 'a'],
  'ends of an internal subset': ['<?xml ?><!doctype [', ']'],
  'opened instructions': ['<?xml ?>', '<?'],
  'white space': ['', ' \n'],
} as const;
test.each(Object.entries(endless))('%s without an end are judged in linear time', async (_, [start, piece]) => {
  const startedAt = performance.now();
  const type = await sniffType(Buffer.from(start + piece.repeat(LONG / piece.length)));
  expect(type).toBe(start === '' ? TEXT : 'application/xml');
  expect(performance.now() - startedAt).toBeLessThan(2000);
});
