import { expect, test } from 'bun:test';
import { AppError } from '../../../src/kernel/errors.ts';
import { readMultipart } from '../../../src/modules/uploads/multipart.ts';
import { readPlainForm } from '../../../src/modules/uploads/plain-form.ts';
import { bytes, collect, failureOf, from } from '../../contracts/object-store.ts';

const TYPE = 'multipart/form-data; boundary=xx';
const file = (name: string, content: string, field = 'file') =>
  `--xx\r\nContent-Disposition: form-data; name="${field}"; filename="${name}"\r\n\r\n${content}\r\n`;
const value = (field: string, content: string) =>
  `--xx\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${content}\r\n`;
const END = '--xx--\r\n';

/** Reads a form that arrives in pieces of `step` bytes. */
async function read(form: string | Uint8Array, step = Number.POSITIVE_INFINITY, type = TYPE) {
  const whole = Buffer.from(form);
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < whole.length; at += step) chunks.push(whole.subarray(at, at + step));
  const files: { field: string; name: string; content: string }[] = [];
  const fields = await readMultipart(from(chunks), type, async ({ field, name, body }) => {
    files.push({ field, name, content: Buffer.concat(await collect(body)).toString() });
  });
  return { files, fields: Object.fromEntries(fields) };
}

test.each([1, 2, 7, 64, Number.POSITIVE_INFINITY])('a form in pieces of %p bytes is read whole', async (step) => {
  const form = value('visibility', 'public') + file('a.txt', 'first\r\n--x') + file('b', '') + value('note', 'é') + END;
  expect(await read(form, step)).toEqual({
    files: [
      { field: 'file', name: 'a.txt', content: 'first\r\n--x' },
      { field: 'file', name: 'b', content: '' },
    ],
    fields: { visibility: 'public', note: 'é' },
  });
});

const names: { sent: string; name: string }[] = [
  { sent: '../../etc/passwd', name: '../../etc/passwd' },
  { sent: 'C:\\dir\\x.txt', name: 'C:\\dir\\x.txt' },
  { sent: 'say %22hi%22', name: 'say "hi"' },
  { sent: 'say \\"hi\\"', name: 'say "hi"' },
  { sent: 'a%0d%0Ab', name: 'a\r\nb' },
  { sent: '100%41', name: '100%41' },
  { sent: '🙂é', name: '🙂é' },
  { sent: 'nul\0', name: 'nul\0' },
  { sent: '', name: '' },
];
test.each(names)('the name $sent arrives decoded and nothing more', async ({ sent, name }) => {
  expect((await read(file(sent, 'x') + END)).files[0]?.name).toBe(name);
});

const faulty: { what: string; form: string; type?: string; code: string }[] = [
  { what: 'nothing', form: '', code: 'uploads/invalid-multipart' },
  { what: 'something else', form: 'hello', code: 'uploads/invalid-multipart' },
  { what: 'another boundary', form: '--yy\r\n\r\n--yy--', code: 'uploads/invalid-multipart' },
  { what: 'a form without its end', form: file('a', 'text'), code: 'uploads/invalid-multipart' },
  { what: 'a form cut inside a file', form: file('a', 'text').slice(0, -4), code: 'uploads/invalid-multipart' },
  { what: 'a form cut inside a header', form: '--xx\r\nContent-Dispo', code: 'uploads/invalid-multipart' },
  { what: 'no boundary', form: END, type: 'multipart/form-data', code: 'uploads/invalid-multipart' },
  {
    what: 'an endless boundary',
    form: END,
    type: `multipart/form-data; boundary=${'x'.repeat(300)}`,
    code: 'uploads/invalid-multipart',
  },
  { what: 'another content type', form: '{}', type: 'application/json', code: 'request/unsupported-media-type' },
  { what: 'no content type', form: END, type: '', code: 'request/unsupported-media-type' },
  {
    what: 'multipart of another kind',
    form: END,
    type: 'multipart/mixed; boundary=xx',
    code: 'request/unsupported-media-type',
  },
  { what: 'too many files', form: file('a', '').repeat(101) + END, code: 'uploads/too-many-parts' },
  { what: 'ten thousand parts', form: value('a', '').repeat(10_000) + END, code: 'uploads/too-many-parts' },
  {
    what: 'a field that is too long',
    form: value('visibility', 'x'.repeat(2000)) + END,
    code: 'uploads/too-many-parts',
  },
];
test.each(faulty)('$what is refused with $code', async ({ form, type, code }) => {
  for (const step of [Number.POSITIVE_INFINITY, 13]) {
    const fault = await failureOf(read(form, step, type));
    expect(fault).toBeInstanceOf(AppError);
    expect((fault as AppError).code).toBe(code);
  }
});

test('a hundred files are taken', async () => {
  expect((await read(file('a', 'x').repeat(100) + END)).files.length).toBe(100);
});

test('what stands before and after the form is ignored', async () => {
  expect((await read(`preamble\r\n${file('a', 'x')}${END}epilogue`)).files.length).toBe(1);
});

test('the failure of a file ends the reading and stops the body', async () => {
  const fault = new Error('no room');
  let isStopped = false;
  async function* endless() {
    try {
      yield Buffer.from('--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n');
      for (;;) yield bytes(10_000);
    } finally {
      isStopped = true;
    }
  }
  const reading = readMultipart(endless(), TYPE, async ({ body }) => {
    for await (const _ of body) throw fault;
  });
  expect(await failureOf(reading)).toBe(fault);
  expect(isStopped).toBe(true);
});

test('when the body breaks, the file that was being read fails before the form does', async () => {
  const fault = new Error('gone');
  async function* broken() {
    yield Buffer.from('--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsome');
    throw fault;
  }
  const order: unknown[] = [];
  const reading = readMultipart(broken(), TYPE, async ({ body }) => {
    order.push(await failureOf(collect(body)));
    throw fault;
  });
  order.push(await failureOf(reading));
  expect(order).toEqual([fault, fault]);
});

test('a slow reader holds the body back', async () => {
  const chunk = bytes(64 * 1024);
  let sentBytes = 0;
  async function* large() {
    yield Buffer.from('--xx\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n');
    for (let count = 0; count < 200; count++) {
      sentBytes += chunk.length;
      yield chunk;
    }
    yield Buffer.from(`\r\n${END}`);
  }
  let readBytes = 0;
  let mostAhead = 0;
  await readMultipart(large(), TYPE, async ({ body }) => {
    for await (const part of body) {
      readBytes += part.length;
      await new Promise((resolve) => setImmediate(resolve));
      mostAhead = Math.max(mostAhead, sentBytes - readBytes);
    }
  });
  expect(readBytes).toBe(sentBytes);
  expect(mostAhead).toBeLessThan(512 * 1024);
});

const typed = (name: string, content: string) =>
  `--xx\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: image/png\r\n\r\n${content}\r\n`;
const PLAIN = [
  file('a.txt', 'first\r\n--x') + END,
  typed('a b-(1).png', '\x89PNG\r\n\r\n') + value('visibility', 'public') + END,
  `${value('visibility', '')}${file('b', '')}${file('c', 'x--xx')}--xx--`,
];
test.each(PLAIN)('a plain form is read without the streaming parser, and alike (%#)', async (form) => {
  expect(readPlainForm(Buffer.from(form), TYPE)).not.toBeNull();
  expect(await read(form)).toEqual(await read(form, 5));
});

test.each([
  ['an escaped name', file('say %22hi%22', 'x') + END],
  ['a letter that is not ASCII', file('é', 'x') + END],
  [
    'a name in the extended form',
    `--xx\r\nContent-Disposition: form-data; name="file"; filename*=UTF-8''a\r\n\r\nx\r\n${END}`,
  ],
  [
    'a further header',
    `--xx\r\nX-A: b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n${END}`,
  ],
  ['something before the first part', `hello\r\n${file('a', 'x')}${END}`],
  ['something after the end', `${file('a', 'x')}${END}more`],
  ['no end', file('a', 'x')],
  ['a line that begins like the boundary', `${file('a', 'x\r\n--xxy')}${END}`],
  ['a long field', value('note', 'x'.repeat(65)) + END],
])('%s is left to the streaming parser', (_what, form) => {
  expect(readPlainForm(Buffer.from(form), TYPE)).toBeNull();
});

test('whatever a plain form is changed to, both ways of reading it agree', async () => {
  const outcome = (reading: ReturnType<typeof read>) =>
    reading.catch((error: unknown) => (error instanceof AppError ? error.code : Promise.reject(error)));
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const bytesOf = ['\r', '\n', '-', 'x', '"', ';', ':', ' ', '\\', '%', '\0', 'é', 'a'];
  for (let round = 0; round < 3_000; round++) {
    const form = Buffer.from(PLAIN[random(PLAIN.length)] as string);
    for (let change = 0; change <= random(2); change++) {
      form[random(form.length)] = Buffer.from(bytesOf[random(bytesOf.length)] as string)[0] as number;
    }
    if (readPlainForm(form, TYPE)) expect(await outcome(read(form))).toEqual(await outcome(read(form, 11)));
  }
});
