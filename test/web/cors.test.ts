import { describe, expect, test } from 'bun:test';
import { createCors } from '../../src/web/cors.ts';

const decorate = (origins: string[], origin: string | null) => {
  const headers = new Headers();
  createCors(origins).decorate(origin, headers);
  return headers;
};

describe('answers across origins', () => {
  test('are off when no origin is allowed', () => {
    expect(createCors([]).isOn).toBe(false);
    expect(decorate([], 'https://page.example').has('access-control-allow-origin')).toBe(false);
    expect(createCors(['https://page.example']).isOn).toBe(true);
  });

  test('let an allowed origin read, with credentials', () => {
    const headers = decorate(['https://page.example'], 'https://page.example');
    expect(headers.get('access-control-allow-origin')).toBe('https://page.example');
    expect(headers.get('access-control-allow-credentials')).toBe('true');
    const exposed = headers.get('access-control-expose-headers')?.split(', ');
    expect(exposed).toEqual(expect.arrayContaining(['X-Request-Id', 'Accept-Ranges', 'Content-Range']));
    expect(headers.get('vary')).toBe('Origin');
  });

  test.each([
    'https://evil.example',
    'https://page.example.evil.example',
    'http://page.example',
    'https://page.example:8443',
    'null',
  ])('do not let %s read', (origin) => {
    const headers = decorate(['https://page.example'], origin);
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    expect(headers.get('vary')).toBe('Origin');
  });

  test('with * let everybody read and nobody use credentials', () => {
    const headers = decorate(['*'], 'https://evil.example');
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    expect(createCors(['*']).trusts('https://evil.example')).toBe(false);
    const named = decorate(['*', 'https://page.example'], 'https://page.example');
    expect(named.get('access-control-allow-credentials')).toBe('true');
  });

  test('keep what is in Vary already', () => {
    const headers = new Headers({ vary: 'Accept-Encoding' });
    createCors(['https://page.example']).decorate(null, headers);
    expect(headers.get('vary')).toBe('Accept-Encoding, Origin');
  });
});
