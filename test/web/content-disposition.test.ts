import { expect, test } from 'bun:test';
import { contentDisposition } from '../../src/web/content-disposition.ts';

const cases: { name: string; expected: string }[] = [
  { name: 'report.pdf', expected: 'filename="report.pdf"' },
  { name: 'two words;and,more.txt', expected: 'filename="two words;and,more.txt"' },
  { name: 'naïve.txt', expected: `filename="na_ve.txt"; filename*=UTF-8''na%C3%AFve.txt` },
  { name: '📄 notes', expected: `filename="_ notes"; filename*=UTF-8''%F0%9F%93%84%20notes` },
  { name: 'say "hi"', expected: `filename="say _hi_"; filename*=UTF-8''say%20%22hi%22` },
  { name: '../../etc/passwd', expected: `filename=".._.._etc_passwd"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd` },
  { name: 'C:\\boot.ini', expected: `filename="C:_boot.ini"; filename*=UTF-8''C%3A%5Cboot.ini` },
  { name: "it's (1)*.txt", expected: `filename="it's (1)*.txt"` },
  { name: "ä's (1)*.txt", expected: `filename="_'s (1)*.txt"; filename*=UTF-8''%C3%A4%27s%20%281%29%2A.txt` },
  // What a recipient might decode once more has its true form only where decoding is defined.
  { name: '100%41.txt', expected: `filename="100_41.txt"; filename*=UTF-8''100%2541.txt` },
  {
    name: 'a\r\nSet-Cookie: b=c',
    expected: `filename="a__Set-Cookie: b=c"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b%3Dc`,
  },
  { name: 'nul\0', expected: `filename="nul_"; filename*=UTF-8''nul%00` },
  { name: '\ud800', expected: `filename="_"; filename*=UTF-8''%EF%BF%BD` },
  { name: '', expected: 'filename=""' },
];

test.each(cases)('the name $name is carried safely', ({ name, expected }) => {
  expect(contentDisposition('attachment', name)).toBe(`attachment; ${expected}`);
});

test.each(cases)('the header for $name is one line of visible ASCII', ({ name }) => {
  expect(contentDisposition('inline', name)).toMatch(/^inline; [\x20-\x7e]*$/);
});
