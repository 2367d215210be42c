/** One problem of one field, if a request has several. */
export interface FieldProblem {
  field: string;
  message: string;
}

export interface ErrorFacts {
  code: string;
  status?: number;
  details?: FieldProblem[];
  requestId?: string | null;
  retryAfter?: number | null;
  cause?: unknown;
}

/**
 * The only error that calls reject with.
 *
 * `status` is the HTTP status, or 0 without a response. `code` is the server's stable name for the problem, or one
 * of `network_error`, `timeout`, `aborted`, `invalid_input`, `invalid_response`, `output_failed`, or `http_STATUS` for an
 * response that is not the server's.
 */
export class RembgError extends Error {
  override readonly name = "RembgError";
  readonly status: number;
  readonly code: string;
  /** Every problem of the request's fields, if there are several; else empty. */
  readonly details: FieldProblem[];
  /** Quote it when you ask the operator: the server logs it. */
  readonly requestId: string | null;
  /** Seconds to wait before the next try, as the server asked. */
  readonly retryAfter: number | null;

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.status = facts.status ?? 0;
    this.code = facts.code;
    this.details = facts.details ?? [];
    this.requestId = facts.requestId ?? null;
    this.retryAfter = facts.retryAfter ?? null;
  }
}
