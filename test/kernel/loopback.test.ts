import { expect, test } from 'bun:test';
import { isLoopback } from '../../src/kernel/loopback.ts';

test.each(['localhost', '127.0.0.1', '127.1.2.3', '::1', '[::1]'])('%s is this machine', (host) => {
  expect(isLoopback(host)).toBe(true);
});

test.each(['127.evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', '128.0.0.1', '0.0.0.0', '::', ''])(
  '%p need not be',
  (host) => expect(isLoopback(host)).toBe(false),
);
