import { AppError } from '../../kernel/errors.ts';

/** What is no refusal although it is not our side's failure. */
const RETRIED = new Set(['uploads/locked', 'database/conflict']);

/** Whether bytes would be refused again. What our side failed at may go well the next time. */
export function isRefusal(error: unknown): boolean {
  return error instanceof AppError && error.problem.status < 500 && !RETRIED.has(error.code);
}
