/** A number below `bound`, the same series for the same seed (xorshift32). */
export type Random = (bound: number) => number;

export function nextRandom(seed: number): Random {
  let state = seed * 2_654_435_761 + 1;
  return (bound) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
}

const SEEDS = {
  html: [
    '<!doctype html><title>x</title><p>a <b>b</b><table><tr><td>1</table><script>var a="</p>"</script>',
    '<svg><foreignObject><p>x</svg><math><mi>y</math><template><td>z</template><select><option>o',
    '<a href="javascript:x" onclick=y><img srcset="a 1x, b 2x"><base href="//h/"><div itemscope itemprop=p>t',
    '<frameset><frame><noframes>x</noframes><plaintext>y',
  ],
  css: [
    '@media (min-width:1px){.a>b:is(#c,:not(d)){color:rgb(1 2 3/.5);--x:{y}}}@import "z" layer(a);',
    '@font-face{font-family:"f";src:url(a)}@keyframes k{from{top:calc(1px + (2*3px))}}*{hwb:hwb(1 2% 3%)}',
    '.a{.b &{x:y}&:hover{z:w}}@supports (display:grid) and (not (a:b)){c{d:e}}/* f */',
  ],
  js: [
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the source has a template
    'import a,{b as c}from"m";export default async function*f(x,{y=1},...z){for await(const q of x)yield`a${q}b`}',
    'class A<T extends B>extends C{#p=1;static{this.q??=/[/]/g}get r():number{return <T,>(s:T)=>s}}',
    'let j=<D e={f}>{...g}<h/></D>;if(a)b;else{c:while(1)break c}label:switch(x){case 1n:default:}',
  ],
} as const;
const PIECES = [
  '<',
  '>',
  '{',
  '}',
  '(',
  ')',
  '[',
  ']',
  '"',
  "'",
  '`',
  '/',
  '\\',
  '&',
  ';',
  ':',
  '@',
  '#',
  '!--',
  '\0',
  '\ud800',
  '\u2028',
  '${',
  '*/',
  '/*',
  '</',
  'calc(',
  ':is(',
  '=>',
  '?.',
  '<!',
  ']]>',
];
/** Longest source, in UTF-16 units. */
const MAX_LENGTH = 400_000;

/** A source that somebody might send by mistake or on purpose. */
export function nextSource(language: keyof typeof SEEDS, random: Random): string {
  const seeds = SEEDS[language];
  let source: string = seeds[random(seeds.length)] as string;
  for (let change = random(12); change >= 0; change--) source = mutate(source, language, random).slice(0, MAX_LENGTH);
  return source;
}

function mutate(source: string, language: keyof typeof SEEDS, random: Random): string {
  const at = random(source.length + 1);
  const end = at + random(Math.min(200, source.length - at + 1));
  const piece = PIECES[random(PIECES.length)] as string;
  switch (random(7)) {
    case 0:
      return source.slice(0, at) + source.slice(end);
    case 1:
      return source.slice(0, at) + piece + source.slice(at);
    case 2:
      return source.slice(0, at) + source.slice(at, end).repeat(1 + random(50)) + source.slice(end);
    case 3:
      return source.slice(0, at) + piece.repeat(1 + random(random(20) === 0 ? 100_000 : 100)) + source.slice(at);
    case 4: {
      const other = SEEDS[language];
      return source.slice(0, at) + (other[random(other.length)] as string) + source.slice(at);
    }
    case 5:
      return source.slice(0, at) + String.fromCharCode(random(0x10000)) + source.slice(at + 1);
    default:
      return source.slice(at) + source.slice(0, at);
  }
}
