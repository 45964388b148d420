import { describe, expect, test } from 'bun:test';
import { createHmac, generateKeyPairSync, sign as signWithKey } from 'node:crypto';
import { jwtSigner } from '../../src/drivers/jwt-signer.ts';
import { createKeyring } from '../../src/kernel/keys.ts';

const keys = createKeyring('a secret of the tests that is long enough');
const key = keys('access-token');
const options = { key, type: 'at+jwt', issuer: 'bunkhouse', audience: 'bunkhouse/api' };
const signer = jwtSigner(options);
const nowSeconds = Math.floor(Date.now() / 1000);
const claims = { sub: 'user-1', sid: 'session-1', epoch: 3, exp: nowSeconds + 900 };
const full = { ...claims, iss: 'bunkhouse', aud: 'bunkhouse/api' };

const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
/** A token made by hand, as an attacker with this key would. */
function forge(payload: unknown, header: object = {}, secret: Uint8Array = key, hash = 'sha256'): string {
  const head = `${encode({ alg: 'HS256', typ: 'at+jwt', ...header })}.${encode(payload)}`;
  return `${head}.${createHmac(hash, secret).update(head).digest('base64url')}`;
}

test('what was signed is verified, with exactly its claims', async () => {
  expect(await signer.verify(await signer.sign(claims))).toEqual(claims);
  expect(await signer.verify(forge(full))).toEqual(claims);
});

test('the header says what it is, and nothing in the token is a secret', async () => {
  const [header, payload] = (await signer.sign(claims)).split('.');
  expect(JSON.parse(Buffer.from(header as string, 'base64url').toString())).toEqual({ alg: 'HS256', typ: 'at+jwt' });
  expect(JSON.parse(Buffer.from(payload as string, 'base64url').toString())).toMatchObject(full);
});

describe('not believed is a token', () => {
  const [head = '', body = '', mac = ''] = forge(full).split('.');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsaHead = `${encode({ alg: 'RS256', typ: 'at+jwt' })}.${encode(full)}`;
  const { exp: _exp, ...eternal } = full;
  const { sub: _sub, ...nobody } = full;
  const { sid: _sid, ...sessionless } = full;
  const { epoch: _epoch, ...timeless } = full;
  const { iss: _iss, ...anywhere } = full;
  const { aud: _aud, ...anyone } = full;

  test.each<[string, string]>([
    ['with alg none', `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`],
    ['with alg none and the old signature', `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.${mac}`],
    ['with alg NONE', `${encode({ alg: 'NONE', typ: 'at+jwt' })}.${body}.`],
    ['with no alg', `${encode({ typ: 'at+jwt' })}.${body}.${mac}`],
    ['of HS384 with the same key', forge(full, { alg: 'HS384' }, key, 'sha384')],
    ['of HS512 with the same key', forge(full, { alg: 'HS512' }, key, 'sha512')],
    ['that says HS512 over an HS256 signature', forge(full, { alg: 'HS512' })],
    [
      'of RS256 with a key of its own',
      `${rsaHead}.${signWithKey('sha256', Buffer.from(rsaHead), rsa.privateKey).toString('base64url')}`,
    ],
    ['of another key', forge(full, {}, keys('session-cookie'))],
    ['of a key that is a zero', forge(full, {}, new Uint8Array([0]))],
    [
      'that names another key in its header',
      forge(full, { kid: '../../dev/null', jku: 'https://evil.example/keys' }, keys('other')),
    ],
    ['with its own key in the header', forge(full, { jwk: { kty: 'oct', k: encode('x') } }, Buffer.from('x'))],
    ['of another type', forge(full, { typ: 'session+jwt' })],
    ['of type JWT', forge(full, { typ: 'JWT' })],
    ['of no type', forge(full, { typ: undefined })],
    ['of another issuer', forge({ ...full, iss: 'evil' })],
    ['of no issuer', forge(anywhere)],
    ['for another audience (CVE-2026-30863)', forge({ ...full, aud: 'bunkhouse/browser' })],
    ['for no audience', forge(anyone)],
    ['without an end', forge(eternal)],
    ['that has ended', forge({ ...full, exp: nowSeconds - 1 })],
    ['that ends at a text', forge({ ...full, exp: 'never' })],
    ['that ends at infinity', forge({ ...full, exp: null })],
    ['that is not good yet', forge({ ...full, nbf: nowSeconds + 3600 })],
    ['for nobody', forge(nobody)],
    ['for a number', forge({ ...full, sub: 5 })],
    ['for an object', forge({ ...full, sub: { $ne: '' } })],
    ['without a session', forge(sessionless)],
    ['without an epoch', forge(timeless)],
    ['with an epoch that is no number', forge({ ...full, epoch: 'x' })],
    ['whose claims were changed', `${head}.${encode({ ...full, sub: 'admin' })}.${mac}`],
    ['whose header was changed', `${encode({ alg: 'HS256', typ: 'at+jwt', x: 1 })}.${body}.${mac}`],
    ['whose signature was cut', `${head}.${body}.${mac.slice(0, -4)}`],
    ['whose signature is missing', `${head}.${body}.`],
    ['of two parts', `${head}.${body}`],
    ['of four parts', `${head}.${body}.${mac}.x`],
    ['that is empty', ''],
    ['of dots', '..'],
    ['that is no JSON', `${encode('x')}.${encode('y')}.${mac}`],
    ['whose claims are a list', forge([])],
    ['whose claims are null', forge(null)],
    ['with critical extensions', forge(full, { crit: ['exp2'], exp2: 1 })],
    ['of 100,000 characters', 'x'.repeat(100_000)],
    ['with blanks around it', ` ${forge(full)} `],
  ])('%s', async (_what, token) => {
    expect(await signer.verify(token)).toBeNull();
  });
});

test('a cookie’s token is no access token, nor the other way round, even with one key', async () => {
  const cookies = jwtSigner({ ...options, type: 'session+jwt', audience: 'bunkhouse/browser' });
  expect(await signer.verify(await cookies.sign(claims))).toBeNull();
  expect(await cookies.verify(await signer.sign(claims))).toBeNull();
  expect(await cookies.verify(await cookies.sign(claims))).toEqual(claims);
});

test('claims that are not asked for do not come out', async () => {
  expect(await signer.verify(forge({ ...full, role: 'admin', __proto__: { role: 'admin' } }))).toEqual(claims);
});

test('a signer that could not be opened is opened again', async () => {
  let asked = 0;
  const shaky = jwtSigner({
    ...options,
    get key() {
      if (asked++ === 0) throw new Error('not now');
      return key;
    },
  });
  const fault = await shaky.sign(claims).then(
    () => null,
    (error: unknown) => error,
  );
  expect(fault).toMatchObject({ message: 'not now' });
  expect(await shaky.verify(await shaky.sign(claims))).toEqual(claims);
});
