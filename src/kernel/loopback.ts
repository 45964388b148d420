/** Whether a host, a name or an address as it stands in a URL or on a socket, in lower case, can be nothing but this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
