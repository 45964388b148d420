/** How a part of the house says whether it is well. */
export interface HealthCheck {
  /** Shown as the row's name in `/health/ready`, for example `database:main`. */
  readonly name: string;
  /** When true the whole server counts as down while this part is; else it is only degraded. */
  readonly isVital: boolean;
  /** Resolves to a status with an optional hint for operators, or rejects: then the part is down. */
  run(): Promise<HealthStatus>;
}

export interface HealthStatus {
  readonly status: 'ok' | 'degraded' | 'down' | 'off';
  /** For operators; no secret, no address with credentials. */
  readonly detail?: string;
}
