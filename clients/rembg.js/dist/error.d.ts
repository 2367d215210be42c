/** One problem of one field, where a request has several. */
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
 * The one error that calls reject with.
 *
 * `status` is the HTTP status, and 0 where no answer was had. `code` is the server's own stable name for the problem, or one
 * of `network_error`, `timeout`, `aborted`, `invalid_input`, `invalid_response`, `output_failed`, or `http_STATUS` for an
 * answer that is not the server's.
 */
export declare class RembgError extends Error {
    readonly name = "RembgError";
    readonly status: number;
    readonly code: string;
    /** Every problem of the request's fields, where there are several; else empty. */
    readonly details: FieldProblem[];
    /** For a question to the operator: the server logs it. */
    readonly requestId: string | null;
    /** Seconds after which the server wants to be asked again. */
    readonly retryAfter: number | null;
    constructor(message: string, facts: ErrorFacts);
}
