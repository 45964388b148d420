/** What `doctor` has found. */
export interface Finding {
  readonly level: 'ok' | 'warning' | 'fault';
  readonly subject: string;
  readonly message: string;
}
