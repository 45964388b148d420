import { bindContext } from '../../../src/web/context.ts';

/** A request as the gate hands it on; the path is kept as it was written, however odd. */
export function requestFor(path: string, init: RequestInit = {}, host = 'localhost'): Request {
  const request = new Request(`http://${host}${path.startsWith('/') ? path : '/'}`, init);
  bindContext(
    request,
    {
      id: 'test',
      address: '127.0.0.1',
      isSecure: false,
      method: request.method,
      path: path.replace(/\?.*$/s, ''),
      startedAt: 0,
      route: '',
      caller: null,
      isForeign: false,
      credentialFault: null,
      rate: null,
      wire: null,
      readyAnswer: null,
    },
    { peerAddress: '127.0.0.1', isSecure: false, keepOpen() {}, cutWhenIdle() {} },
  );
  return request;
}
