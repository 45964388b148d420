import { Readability } from '@mozilla/readability';
import { toMarkdown } from './html-markdown.ts';
import { type Page, plainText, readPage } from './html-page.ts';
import { makeAbsolute } from './html-rewrite.ts';
import { serializeContent } from './html-serialize.ts';
import { countWords, visibleText } from './html-text.ts';
import { isElement } from './html-tree.ts';
import type { Warning } from './job.ts';
import type { View } from './view.ts';

/** Words a minute, as most readers of prose. */
const READING_SPEED = 230;

interface Article {
  readonly title: string | null;
  readonly byline: string | null;
  readonly excerpt: string | null;
  readonly siteName: string | null;
  readonly published: string | null;
  readonly language: string | null;
  /** What holds the text: the article, or the body when no article was found. */
  readonly content: Element;
  readonly isFound: boolean;
}

/** The text that a page is about, without what stands around it. */
export const articleView: View = (input) => {
  const page = readPage(input);
  const { content, isFound, ...about } = findArticle(page);
  const text = visibleText(content);
  const words = countWords(text);
  const format = input.options.format as 'html' | 'markdown' | 'text';
  const body =
    format === 'text' ? text : format === 'markdown' ? toMarkdown(content) : serializeContent(content).trim();
  return {
    result: {
      ...about,
      url: input.url,
      words,
      readingMinutes: Math.ceil(words / READING_SPEED),
      format,
      content: body,
    },
    warnings: isFound ? [] : NOT_FOUND,
  };
};

/** A page as Markdown (CommonMark with tables and strikethrough). */
export const markdownView: View = (input) => {
  const page = readPage(input);
  const { frontMatter, content: wanted } = input.options as { frontMatter: boolean; content: 'article' | 'page' };
  const title = plainText(page.document.querySelector('head > title')) || null;
  const article = wanted === 'article' ? findArticle(page) : null;
  if (!article) makeAbsolute(page.document, page.addresses);
  const root = article?.content ?? page.document.body;
  const words = countWords(visibleText(root));
  const markdown = toMarkdown(root);
  const lines = [
    ['title', article?.title ?? title],
    ['author', article?.byline],
    ['site', article?.siteName],
    ['published', article?.published],
    ['language', article?.language],
    ['url', input.url],
    ['word_count', words],
    ['reading_time', Math.ceil(words / READING_SPEED)],
  ].flatMap(([name, value]) => (value === null || value === undefined ? [] : [`${name}: ${JSON.stringify(value)}`]));
  return {
    result: frontMatter ? `---\n${lines.join('\n')}\n---\n\n${markdown}` : markdown,
    warnings: article && !article.isFound ? NOT_FOUND : [],
  };
};

const NOT_FOUND: readonly Warning[] = [
  { code: 'no-article', message: 'No article was made out in the page; all of its body is shown.' },
];

/** Changes the document. */
function findArticle({ document, addresses }: Page): Article {
  makeAbsolute(document, addresses);
  const body = document.body.cloneNode(true) as Element;
  const language = document.documentElement.getAttribute('lang');
  const title = plainText(document.querySelector('head > title')) || null;
  lowerNames(document);
  const found = new Readability(document as never, { serializer: (node: Node) => node as never }).parse();
  const content = found?.content as unknown as Element | null | undefined;
  if (!found || !content || !isElement(content)) {
    return {
      title,
      byline: null,
      excerpt: null,
      siteName: null,
      published: null,
      language,
      content: body,
      isFound: false,
    };
  }
  return {
    title: found.title || title,
    byline: found.byline || null,
    excerpt: found.excerpt || null,
    siteName: found.siteName || null,
    published: found.publishedTime || null,
    language: found.lang || language,
    content,
    isFound: true,
  };
}

/** Elements made from now on have names in small letters, as a browser gives them (DOM §4.5); linkedom takes names as they come. */
function lowerNames(document: Document): void {
  const create = document.createElement.bind(document);
  Object.defineProperty(document, 'createElement', { value: (name: string) => create(name.toLowerCase()) });
}
