/** A page of about 2.5 MB, made as documentation is: sections with headings, links, code and lists. */
export function largePage(): string {
  const sections = Array.from(
    { length: 12_000 },
    (_, index) =>
      `<div class="section" id="s${index}"><h2>Heading ${index} &amp; more</h2><p>Some text with <a href="/page/${index}.html#part">a link</a> and <code>code</code>, <em>emphasis</em>.</p><ul><li>one</li><li>two</li></ul></div>`,
  );
  const head =
    '<title>A large page</title><meta name="description" content="All of it"><meta property="og:title" content="Large"><link rel="icon" href="/i.png">';
  return `<!doctype html><html lang="en"><head>${head}</head><body>${sections.join('\n')}</body></html>`;
}
