import { describe, expect, test } from 'bun:test';
import { look, problemOf } from './support.ts';

const PAGE = 'https://example.org/blog/post';
const html = (body: string, head = '') =>
  `<!doctype html><html lang="en"><head>${head}</head><body>${body}</body></html>`;

describe('meta', () => {
  test('reads what a page says of itself', async () => {
    const head = `
      <title>  Fish &amp;
        chips </title><base href="/shop/">
      <meta name="Description" content="&quot;Best&quot; in town"><meta name="keywords" content="fish, chips,">
      <meta property="og:title" content="OG"><meta property="og:image" content="a.png"><meta property="og:image" content="b.png">
      <meta name="twitter:card" content="summary"><meta name="author" content="Ann">
      <meta property="article:published_time" content="2026-01-02">
      <link rel="canonical" href="https://example.org/c"><link rel="icon" href="/i.ico" sizes="16x16">
      <link rel="alternate" type="application/atom+xml" href="feed" title="News"><link rel="alternate" hreflang="de" href="de">
      <link rel="alternate" type="application/json+oembed" href="/o"><link rel="manifest" href="m.json">
      <script type="application/ld+json">[{"@type":"Recipe"},{"@type":"Person"}]</script>
      <script type="application/ld+json">{ not json }</script>`;
    const { result, warnings } = await look('html', html('<svg><title>no</title></svg>', head), 'meta', {
      baseUrl: PAGE,
    });
    expect(result).toMatchObject({
      title: 'Fish & chips',
      description: '"Best" in town',
      keywords: ['fish', 'chips'],
      language: 'en',
      author: 'Ann',
      published: '2026-01-02',
      canonical: 'https://example.org/c',
      url: 'https://example.org/c',
      image: 'https://example.org/shop/a.png',
      openGraph: { 'og:title': 'OG', 'og:image': ['a.png', 'b.png'] },
      twitter: { card: 'summary' },
      jsonLd: [{ '@type': 'Recipe' }, { '@type': 'Person' }],
      icons: [{ rel: 'icon', href: 'https://example.org/i.ico', sizes: '16x16' }],
      feeds: [{ href: 'https://example.org/shop/feed', type: 'application/atom+xml', title: 'News' }],
      oembed: [{ href: 'https://example.org/o' }],
      alternates: [{ href: 'https://example.org/shop/de', hreflang: 'de' }],
      manifest: 'https://example.org/shop/m.json',
    });
    expect(warnings).toMatchObject([{ code: 'invalid-json-ld' }]);
  });

  test('is the view when none is named, of any text at all', async () => {
    for (const source of ['', 'plain text', '<', '<!--', '<title', '<html><body>']) {
      expect((await look('html', `${source} `)).result.title).toBe(null);
    }
  });

  test('reads nested microdata, and items by reference', async () => {
    const body = `<div itemscope itemtype="https://schema.org/Person" itemref="more"><b itemprop="name">Ann</b>
      <div itemprop="address" itemscope itemtype="https://schema.org/PostalAddress"><i itemprop="city">Ulm</i></div>
      <a itemprop="url" href="me">x</a><time itemprop="born" datetime="2000-01-01">then</time></div>
      <p id="more"><span itemprop="email">a@example.org</span></p><p itemscope id="ring" itemref="ring"></p>`;
    const { result } = await look('html', html(body), 'meta', { baseUrl: PAGE });
    expect(result.microdata[0]).toEqual({
      type: ['https://schema.org/Person'],
      properties: {
        name: ['Ann'],
        address: [{ type: ['https://schema.org/PostalAddress'], properties: { city: ['Ulm'] } }],
        url: ['https://example.org/blog/me'],
        born: ['2000-01-01'],
        email: ['a@example.org'],
      },
    });
  });
});

describe('links and assets', () => {
  test('lists where a page leads', async () => {
    const body = `<a href="/a" rel="nofollow ugc">One <b>two</b></a><a href="https://other.org/">Out</a><a href="#x">Here</a>
      <a href="mailto:a@example.org">Mail</a><a href="javascript:x()">JS</a><a name="none">No</a><area href="b" alt="Area">`;
    const { result } = await look('html', html(body), 'links', { baseUrl: PAGE });
    expect(
      result.map((link: { url: string; text: string; kind: string; isInternal: boolean; isFollowed: boolean }) => [
        link.url,
        link.text,
        link.kind,
        link.isInternal,
        link.isFollowed,
      ]),
    ).toEqual([
      ['https://example.org/a', 'One two', 'page', true, false],
      ['https://other.org/', 'Out', 'page', false, true],
      ['https://example.org/blog/post#x', 'Here', 'fragment', true, true],
      ['mailto:a@example.org', 'Mail', 'mail', false, true],
      ['javascript:x()', 'JS', 'script', false, true],
      ['https://example.org/blog/b', 'Area', 'page', true, true],
    ]);
  });

  test('lists what a page loads', async () => {
    const body = `<img src="a.png" srcset="b.png 1x, data:image/png;base64,AA== 2x, c,d.png 3x" alt="A"><video src="v.mp4" poster="p.jpg"></video>
      <script src="s.js" integrity="sha256-x"></script><iframe src="/f"></iframe><img>`;
    const head =
      '<link rel="stylesheet" href="c.css"><link rel=preload as=font href=f.woff2><link rel=modulepreload href=m.js>';
    const { result } = await look('html', html(body, head), 'assets', { baseUrl: PAGE });
    expect(
      result.map(({ kind, url }: { kind: string; url: string }) => [
        kind,
        url.replace('https://example.org/blog/', ''),
      ]),
    ).toEqual([
      ['style', 'c.css'],
      ['font', 'f.woff2'],
      ['script', 'm.js'],
      ['image', 'a.png'],
      ['image', 'b.png'],
      ['image', 'data:image/png;base64,AA=='],
      ['image', 'c,d.png'],
      ['video', 'v.mp4'],
      ['image', 'p.jpg'],
      ['script', 's.js'],
      ['frame', 'https://example.org/f'],
    ]);
  });
});

describe('structure', () => {
  test('nests headings and names a skipped level', async () => {
    const { result, warnings } = await look('html', html('<h1>A</h1><h2 id=b>B</h2><h4>C</h4><h2>D</h2>'), 'outline');
    expect(result.headings).toEqual([
      {
        level: 1,
        text: 'A',
        id: null,
        children: [
          { level: 2, text: 'B', id: 'b', children: [{ level: 4, text: 'C', id: null, children: [] }] },
          { level: 2, text: 'D', id: null, children: [] },
        ],
      },
    ]);
    expect(warnings).toMatchObject([{ code: 'skipped-level' }]);
  });

  test('lays out tables with cells that span', async () => {
    const table =
      '<table><caption>T</caption><tr><th>A<th>B<th>C<tr><td rowspan=2>1<td colspan=2>2<tr><td>3<td>4</table>';
    const { result } = await look('html', html(table), 'tables');
    expect(result).toEqual([
      {
        caption: 'T',
        headers: ['A', 'B', 'C'],
        rows: [
          ['1', '2', '2'],
          ['1', '3', '4'],
        ],
        records: [
          { A: '1', B: '2', C: '2' },
          { A: '1', B: '3', C: '4' },
        ],
      },
    ]);
  });

  test('does not let a cell span the world', async () => {
    const row = '<tr><td rowspan=65534 colspan=1000>x'.repeat(50);
    const { result } = await look('html', html(`<table>${row}</table>`), 'tables');
    expect(result[0].rows.length).toBe(50);
  });

  test('describes forms, with fields that stand elsewhere', async () => {
    const body = `<form id=f action="go" method=POST><label>Name <input name=n required></label><select name=s><option value=1>one<option selected>two</select></form>
      <input form=f name=late type=checkbox checked>`;
    const { result } = await look('html', html(body), 'forms', { baseUrl: PAGE });
    expect(result[0]).toMatchObject({
      id: 'f',
      action: 'https://example.org/blog/go',
      method: 'post',
      fields: [
        { name: 'n', type: 'text', label: 'Name', required: true },
        {
          name: 's',
          type: 'select',
          options: [
            { value: '1', selected: false },
            { value: 'two', selected: true },
          ],
        },
        { name: 'late', type: 'checkbox', checked: true },
      ],
    });
  });

  test('shows the tree, no larger than asked', async () => {
    const { result, warnings } = await look('html', '<p class=a>x<svg/>', 'tree', { selector: 'p' });
    expect(result).toEqual([
      {
        type: 'element',
        name: 'p',
        attributes: { class: 'a' },
        children: [
          { type: 'text', text: 'x' },
          { type: 'element', name: 'svg', namespace: 'svg', attributes: {}, children: [] },
        ],
      },
    ]);
    expect(warnings).toEqual([]);
    expect((await look('html', '<p>'.repeat(50), 'tree', { maxNodes: 5 })).warnings).toMatchObject([{ code: 'cut' }]);
  });
});

describe('select', () => {
  test('finds elements in the tree that a browser would build', async () => {
    const { result } = await look('html', '<TABLE><TR><TD CLASS="a">x</TABLE><p>1<p>2', 'select', {
      selector: 'tbody > tr > td.a, p + p',
    });
    expect(result).toEqual([
      { tag: 'td', text: 'x', attributes: { class: 'a' }, html: '<td class="a">x</td>' },
      { tag: 'p', text: '2', attributes: {}, html: '<p>2</p>' },
    ]);
  });

  test('gives one attribute, absolute where it is an address', async () => {
    const { result } = await look('html', '<a href=x>', 'select', { selector: 'a', attribute: 'href', baseUrl: PAGE });
    expect(result).toEqual(['https://example.org/blog/x']);
  });

  test('makes a record by rules', async () => {
    const rules = {
      title: { selector: 'h1' },
      price: { selector: '.price', type: 'number' },
      links: { selector: 'a', attribute: 'href', all: true, type: 'url' },
      day: { selector: 'time', attribute: 'datetime', type: 'date' },
      body: { selector: 'p', type: 'html' },
      none: { selector: '.none' },
    };
    const source =
      '<h1>T</h1><b class=price>€ 1,234.50</b><a href=a><a href=b><time datetime="2026-01-02">x</time><p>x<i>y</i></p>';
    expect((await look('html', source, 'select', { rules, baseUrl: PAGE })).result).toEqual({
      title: 'T',
      price: 1234.5,
      links: ['https://example.org/blog/a', 'https://example.org/blog/b'],
      day: '2026-01-02T00:00:00.000Z',
      body: '<p>x<i>y</i></p>',
      none: null,
    });
  });

  test('refuses what is no selector', async () => {
    for (const selector of ['a[', ':::x', 'p:nope', '::nope(', '{}', 'a:has(b']) {
      expect(await problemOf('html', '<p>', 'select', { selector })).toBe('selector');
    }
    expect(await problemOf('html', '<p>', 'select')).toBe('selector');
  });
});

const STORY = `<h1>Story</h1><nav><a href=/>Home</a></nav><article><h2>Once</h2><p>${'There was a <b>fox</b>, and it ran. '.repeat(40)}</p>
  <p>See <a href="more">more</a> <del>old</del></p><table><tr><th>A|B<th>C<tr><td>1<td>2</table><pre><code>x\n  y</code></pre></article>`;

describe('text', () => {
  test('gives what a reader sees, a line a block', async () => {
    const { result } = await look(
      'html',
      html('<p>A <b>b</b>\n c</p><script>no</script><div hidden>no</div><ul><li>1<li>2</ul>x<br>y<pre>a\n b</pre>'),
      'text',
    );
    expect(result).toEqual({ text: 'A b c\n1\n2\nx\ny\na\nb', words: 9 });
  });

  test('counts words of scripts without spaces', async () => {
    expect((await look('html', '<p>日本語 it’s 3.5', 'text')).result.words).toBe(5);
  });

  test('finds the article, in three forms', async () => {
    const source = html(STORY, '<title>Story – Site</title><meta property="og:site_name" content="Site">');
    const asHtml = await look('html', source, 'article', { baseUrl: PAGE });
    expect(asHtml.result).toMatchObject({ siteName: 'Site', language: 'en', format: 'html' });
    expect(asHtml.result.content).toContain('<a href="https://example.org/blog/more">more</a>');
    expect(asHtml.result.content).not.toContain('Home');
    const asMarkdown = await look('html', source, 'article', { baseUrl: PAGE, format: 'markdown' });
    expect(asMarkdown.result.content).toContain('a **fox**, and it ran.');
    expect(asMarkdown.result.content).toContain('[more](https://example.org/blog/more) ~~old~~');
    expect(asMarkdown.result.content).toContain('| A\\|B | C |\n| --- | --- |\n| 1 | 2 |');
    expect(asMarkdown.result.content).toContain('```\nx\n  y\n```');
    const asText = await look('html', source, 'article', { format: 'text' });
    expect(asText.result.content).toContain('There was a fox, and it ran.');
    expect(asText.result.words).toBeGreaterThan(250);
  });

  test('writes the names of elements as a browser does', async () => {
    const { result } = await look(
      'html',
      `<main><h1>One</h1><p>${'Lorem ipsum dolor sit amet, always. '.repeat(40)}</p></main>`,
      'article',
    );
    expect(result.content).toContain('<div');
    expect(result.content).not.toMatch(/<[A-Z]/);
  });

  test('shows the whole body where there is no article', async () => {
    for (const source of ['', '<frameset>']) {
      const { warnings } = await look('html', `${source} `, 'article');
      expect(warnings).toMatchObject([{ code: 'no-article' }]);
    }
  });

  test('writes a page as Markdown with front matter', async () => {
    const { result } = await look('html', html(STORY, '<title>A "quoted" title</title>'), 'markdown', {
      baseUrl: PAGE,
    });
    expect(result).toStartWith('---\ntitle: "A \\"quoted\\" title"\n');
    expect(result).toContain(`url: "${PAGE}"\n`);
    expect(result).toMatch(/word_count: \d+\nreading_time: \d+\n---\n\n/);
    const whole = await look('html', html(STORY), 'markdown', { content: 'page', frontMatter: false, baseUrl: PAGE });
    expect(whole.result).toStartWith('# Story\n');
    expect(whole.result).toContain('[Home](https://example.org/)');
  });
});

describe('rewrite', () => {
  const rewrite = async (source: string, options: object) =>
    (await look('html', source, 'rewrite', { fragment: true, baseUrl: PAGE, ...options })).result.html;

  test('makes addresses absolute, loads late, sets and removes', async () => {
    expect(
      await rewrite('<a href=x>1</a><a href=#y>2</a><img src=i srcset="a 1x, b 2x">', {
        absoluteUrls: true,
        lazy: true,
      }),
    ).toBe(
      '<a href="https://example.org/blog/x">1</a><a href="#y">2</a><img loading="lazy" src="https://example.org/blog/i" srcset="https://example.org/blog/a 1x, https://example.org/blog/b 2x">',
    );
    expect(
      await rewrite('<p class=a id=b>x</p><i>y</i>', {
        set: [{ selector: 'p', attribute: 'title', value: '"<&' }],
        remove: [{ selector: 'p', attribute: 'id' }, { selector: 'i' }],
      }),
    ).toBe('<p title="&quot;&lt;&amp;" class="a">x</p>');
  });

  test('pins scripts to their hashes', async () => {
    const hash = `sha256-${'A'.repeat(43)}=`;
    expect(await rewrite('x<script src=a.js></script>', { integrity: { 'https://example.org/blog/a.js': hash } })).toBe(
      `x<script crossorigin="anonymous" integrity="${hash}" src="a.js"></script>`,
    );
  });

  const hostile: readonly (readonly [source: string, clean: string])[] = [
    ['<script>x</script>y', 'y'],
    ['<img src=x onerror=alert(1)>', '<img src="x">'],
    ['<a href="javascript:alert(1)">x</a>', '<a>x</a>'],
    ['<a href=" \u0001java\nscript&colon;alert(1)">x</a>', '<a>x</a>'],
    ['<a href="JaVaScRiPt:alert(1)">x</a>', '<a>x</a>'],
    ['<a href="data:text/html,x">x</a>', '<a>x</a>'],
    ['<a href="/ok" target=_top>x</a>', '<a rel="noopener noreferrer nofollow" href="/ok">x</a>'],
    ['<svg><script>x</script></svg>y', 'y'],
    ['<svg><style><img src=x onerror=alert(1)></style></svg>', '<img src="x">'],
    ['<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">', ''],
    ['<noscript><p title="</noscript><img src=x onerror=alert(1)>">', '<img src="x">"&gt;'],
    ['<template><img src=x onerror=x></template>z', 'z'],
    ['<iframe srcdoc="<script>x</script>"></iframe>z', 'z'],
    ['<form action=x><input name=y><p>kept</p></form>', ''],
    ['<style>*{}</style><p style="background:url(x)" class=c id=i>x</p>', '<p>x</p>'],
    ['<img srcset="javascript:x 1x, a.png 2x" src="ok.png">', '<img src="ok.png">'],
    ['<x-custom onclick=x><b>kept</b></x-custom>', '<b>kept</b>'],
    ['<!-- c --><p>x</p><?pi?>', '<p>x</p>'],
    ['<body onload=x background=y><p>x</p>', '<p>x</p>'],
    ['<base href="https://evil.example/"><a href=x>y</a>', '<a rel="noopener noreferrer nofollow" href="x">y</a>'],
    ['<meta http-equiv=refresh content="0;url=x"><link rel=stylesheet href=x>y', 'y'],
  ];
  for (const [source, clean] of hostile) {
    test(`sanitises ${JSON.stringify(source).slice(0, 70)}`, async () => {
      const once = await rewrite(source, { sanitize: true });
      expect(once).toBe(clean);
      expect(await rewrite(once, { sanitize: true })).toBe(clean);
    });
  }

  test('keeps no element that is not asked for, and none that is not harmless', async () => {
    expect(
      await rewrite('<p>a<b>b</b></p><script>c</script>', { sanitize: true, allowElements: ['p', 'script'] }),
    ).toBe('<p>ab</p>');
  });
});

describe('minify and validate', () => {
  test('drops what nobody sees and nothing else', async () => {
    const source =
      '<!doctype html>\n<html>\n<!-- c --><body>\n <p>a  b <b> c </b>  d</p>\n <pre> x\n  y</pre>\n<textarea> z </textarea><script type="text/javascript">a  + b</script>';
    const { result } = await look('html', source, 'minify');
    expect(result.html).toBe(
      '<!DOCTYPE html><html><head></head><body><p>a b <b> c </b> d</p><pre> x\n  y</pre><textarea> z </textarea><script>a  + b</script></body></html>',
    );
    expect(result.bytesAfter).toBeLessThan(result.bytesBefore);
  });

  test('names parse errors by the standard', async () => {
    const { result } = await look('html', '<!doctype html>\n<p id=a id=b></p>\n</div>&#0;', 'validate');
    expect(result.isValid).toBe(false);
    expect(result.errors.map(({ code, line }: { code: string; line: number }) => [code, line])).toContainEqual([
      'duplicate-attribute',
      2,
    ]);
    expect(result.errors.map(({ code }: { code: string }) => code)).toContain('null-character-reference');
    expect(
      (await look('html', '<!doctype html><html lang=en><head><title>x</title></head><body></body></html>', 'validate'))
        .result,
    ).toEqual({
      isValid: true,
      total: 0,
      errors: [],
    });
  });
});
