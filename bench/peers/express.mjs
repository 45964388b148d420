// What people write today: Express 5, jsonwebtoken, better-sqlite3 and multer on Node. It does the same work as Bunkhouse
// on the measured routes (verify the token, read the user's row; stream the file to disk, hash it, write its row) and
// nothing more: no rate limiter, no security headers, no access log, no fsync.
import { createHash, createSecretKey, randomBytes, randomUUID, scrypt, timingSafeEqual } from 'node:crypto';
import { createWriteStream, rm } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';

const require = createRequire(new URL('../.peers/express/package.json', import.meta.url));
const express = require('express');
const jwt = require('jsonwebtoken');
const Database = require('better-sqlite3');
const multer = require('multer');

const { PORT, DATA_DIR, SECRET } = process.env;
const hash = promisify(scrypt);
// As a string it would cost half a millisecond a request: jsonwebtoken then tries to read it as a public key first.
const secret = createSecretKey(Buffer.from(SECRET));

await mkdir(join(DATA_DIR, 'files'), { recursive: true });
const db = new Database(join(DATA_DIR, 'main.db'));
db.pragma('journal_mode = WAL');
db.pragma('synchronous = NORMAL');
db.exec(`
  create table users (
    id text primary key, email text unique not null, name text, role text not null, password text not null, createdAt text not null
  );
  create table files (
    id text primary key, userId text not null references users, name text not null, size integer not null, type text not null,
    sha256 text not null, path text not null, createdAt text not null
  );
`);
const insertUser = db.prepare('insert into users values (@id, @email, @name, @role, @password, @createdAt)');
const userByEmail = db.prepare('select * from users where email = ?');
const userById = db.prepare('select * from users where id = ?');
const insertFile = db.prepare(
  'insert into files values (@id, @userId, @name, @size, @type, @sha256, @path, @createdAt)',
);

const upload = multer({ storage: hashingStorage(join(DATA_DIR, 'files')) });
const app = express();

app.get('/health/live', (_request, response) => {
  response.json({ status: 'ok' });
});

app.post('/api/auth/register', express.json(), async (request, response) => {
  const { email, password } = request.body;
  const salt = randomBytes(16);
  const user = {
    id: randomUUID(),
    email,
    name: null,
    role: 'user',
    password: Buffer.concat([salt, await hash(password, salt, 32)]).toString('base64'),
    createdAt: new Date().toISOString(),
  };
  insertUser.run(user);
  response.status(201).json(grant(user));
});

app.post('/api/auth/login', express.json(), async (request, response) => {
  const user = userByEmail.get(request.body.email);
  const stored = Buffer.from(user?.password ?? '', 'base64');
  const given = await hash(request.body.password, stored.subarray(0, 16), 32);
  if (!user || !timingSafeEqual(given, stored.subarray(16)))
    return response.status(401).json({ error: 'invalid credentials' });
  response.json(grant(user));
});

app.get('/api/auth/me', authenticate, (request, response) => {
  const user = userById.get(request.userId);
  if (!user) return response.status(401).json({ error: 'unknown user' });
  response.json(toPublic(user));
});

app.post('/api/files', authenticate, upload.single('file'), (request, response) => {
  const { originalname, size, mimetype, sha256, path } = request.file;
  const file = {
    id: randomUUID(),
    userId: request.userId,
    name: originalname,
    size,
    type: mimetype,
    sha256,
    path,
    createdAt: new Date().toISOString(),
  };
  insertFile.run(file);
  response.status(201).json({ items: [{ ...file, userId: undefined, path: undefined }] });
});

app.listen(Number(PORT), '127.0.0.1');

function authenticate(request, response, next) {
  const [, token] = (request.headers.authorization ?? '').split(' ');
  try {
    request.userId = jwt.verify(token, secret, { algorithms: ['HS256'], issuer: 'peer', audience: 'peer' }).sub;
  } catch {
    return response.status(401).json({ error: 'invalid token' });
  }
  next();
}

function grant(user) {
  const claims = { subject: user.id, issuer: 'peer', audience: 'peer', expiresIn: '15m' };
  return { access_token: jwt.sign({}, secret, claims), token_type: 'Bearer', expires_in: 900, user: toPublic(user) };
}

function toPublic({ id, email, name, role, createdAt }) {
  return { id, email, name, role, emailVerified: false, createdAt };
}

// As multer's own disk storage, but hashes on the way: reading the file again for that costs a quarter more.
function hashingStorage(directory) {
  return {
    _handleFile(_request, file, done) {
      const path = join(directory, randomBytes(16).toString('hex'));
      const digest = createHash('sha256');
      const out = createWriteStream(path);
      file.stream.on('data', (chunk) => digest.update(chunk));
      file.stream.pipe(out);
      out.on('error', done);
      out.on('finish', () => done(null, { path, size: out.bytesWritten, sha256: digest.digest('hex') }));
    },
    _removeFile(_request, { path }, done) {
      rm(path, done);
    },
  };
}
