import { describe, expect, test } from 'bun:test';
import { ask, jobOf, look } from './support.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const latin1 = (text: string) => Uint8Array.from(text, (unit) => unit.charCodeAt(0));

async function readText(source: Uint8Array, contentType: string | null) {
  const answer = await ask(jobOf('html', source, { contentType, query: { view: 'text' } }));
  return answer.status === 'read'
    ? JSON.parse(`{${new TextDecoder().decode(answer.members)}}`).result.text
    : answer.problem;
}

describe('how bytes become text', () => {
  test('the mark decides, then the sender, then the page, then UTF-8', async () => {
    expect(await readText(bytes('\ufeff<p>ü'), 'text/html; charset=iso-8859-1')).toBe('ü');
    expect(await readText(new Uint8Array([0xff, 0xfe, 0x3c, 0, 0x70, 0, 0x3e, 0, 0xfc, 0]), null)).toBe('ü');
    expect(await readText(latin1('<meta charset=utf-8><p>\xfc'), 'text/html; charset="windows-1252"')).toBe('ü');
    expect(await readText(latin1('<meta charset=iso-8859-2><p>\xb1'), 'text/html')).toBe('ą');
    expect(
      await readText(
        latin1(
          '<!-- <meta charset=koi8-r> --><meta http-equiv=content-type content="text/html; charset=iso-8859-2"><p>\xb1',
        ),
        null,
      ),
    ).toBe('ą');
    expect(await readText(new Uint8Array([0x3c, 0x70, 0x3e, 0x82, 0xa0]), 'text/html; charset=shift_jis')).toBe('あ');
    expect(await readText(bytes('<p>ü'), null)).toBe('ü');
  });

  test('what is no text is refused', async () => {
    const binary = Uint8Array.from({ length: 5000 }, (_, index) => (index * 7919) % 256);
    expect(await readText(binary, 'text/html')).toBe('not-text');
    expect(await readText(bytes('<p>'), 'text/html; charset=nonsense')).toBe('not-text');
  });

  test('lone surrogates, NULs and half characters are read as browsers read them', async () => {
    expect(await readText(bytes('<p>long enough to be text \0 and \ud800 on'), null)).toContain('long enough');
  });
});

describe('what is asked', () => {
  const problem = async (language: 'html' | 'css' | 'js', body: string, contentType: string | null, query = {}) => {
    const answer = await ask(jobOf(language, bytes(body), { contentType, query }));
    return answer.status === 'read' ? null : [answer.problem, ...(answer.faults ?? []).map(({ pointer }) => pointer)];
  };

  test('comes as JSON, as the body itself with a query, or as a form', async () => {
    expect((await look('css', 'a{b:c}')).result.code).toBe('a{b:c}');
    const raw = await ask(
      jobOf('html', bytes('<p>x'), { contentType: 'text/html', query: { view: 'select', selector: 'p', limit: '5' } }),
    );
    expect(raw.status).toBe('read');
    const form = new FormData();
    form.set('file', new Blob(['<p>x'], { type: 'text/html' }), 'x.html');
    form.set('view', 'text');
    const sent = new Request('http://localhost/', { method: 'POST', body: form });
    const contentType = sent.headers.get('content-type');
    const fromForm = await ask(jobOf('html', new Uint8Array(await sent.arrayBuffer()), { contentType }));
    expect([fromForm.status, fromForm.status === 'read' && fromForm.view]).toEqual(['read', 'text']);
  });

  test('is checked, and every fault is named', async () => {
    expect(await problem('html', '{', 'application/json')).toEqual(['malformed-json']);
    expect(await problem('html', '[]', 'application/json')).toEqual(['invalid-request', '']);
    expect(await problem('html', '{}', 'application/json')).toEqual(['invalid-request', '']);
    expect(await problem('html', '{"source":"x","url":"y"}', 'application/json')).toEqual(['invalid-request', '']);
    expect(await problem('html', '{"source":1}', 'application/json')).toEqual(['invalid-request', '/source']);
    expect(await problem('html', '{"source":"x","view":"nope"}', 'application/json')).toEqual([
      'invalid-request',
      '/view',
    ]);
    expect(await problem('html', '{"source":"x","view":"__proto__"}', 'application/json')).toEqual([
      'invalid-request',
      '/view',
    ]);
    expect(await problem('html', '{"source":"x","nonsense":1}', 'application/json')).toEqual([
      'invalid-request',
      '/nonsense',
    ]);
    expect(await problem('html', '{"source":"x","view":"tree","maxDepth":"a"}', 'application/json')).toContain(
      '/maxDepth',
    );
    expect(await problem('html', 'x', 'text/html', { view: 'select', limit: 'many' })).toContain('/limit');
    expect(await problem('html', 'x', 'multipart/form-data')).toEqual(['malformed-body']);
    expect(await problem('html', `{"source":${'['.repeat(1000)}`, 'application/json')).toEqual(['malformed-json']);
  });

  test('may not be larger than allowed', async () => {
    const large = await ask(jobOf('html', bytes('x'.repeat(11)), { query: { view: 'text' }, maxBytes: 10 }));
    expect(large).toMatchObject({ status: 'refused', problem: 'too-large' });
    const wrapped = await ask(
      jobOf('html', bytes(JSON.stringify({ source: 'x'.repeat(11) })), {
        contentType: 'application/json',
        maxBytes: 10,
      }),
    );
    expect(wrapped).toMatchObject({ status: 'refused', problem: 'too-large' });
  });
});
