import { type FieldProblem, RembgError } from "./error.js";
import type { Answer } from "./platform.js";

/** The caller's input cannot be used. */
export function invalidInput(message: string, cause?: unknown): RembgError {
  return new RembgError(message, { code: "invalid_input", cause });
}

/** The connection failed or broke. */
export function networkError(cause?: unknown): RembgError {
  const reason = cause instanceof Error && cause.message ? `: ${cause.message}` : "";
  return new RembgError(`The server could not be reached or the connection broke${reason}`, { code: "network_error", cause });
}

/** The response is not one that the server ever sends. */
export function invalidResponse(answer: Answer, message: string): RembgError {
  return new RembgError(message, { code: "invalid_response", ...origin(answer) });
}

/** The error of an unsuccessful response. */
export async function errorFrom(answer: Answer): Promise<RembgError> {
  const body = parseObject(await answer.text());
  return new RembgError(typeof body.error === "string" ? body.error : `The server answered with HTTP ${answer.status}`, {
    ...origin(answer),
    code: typeof body.code === "string" ? body.code : `http_${answer.status}`,
    details: Array.isArray(body.details) ? (body.details as FieldProblem[]) : [],
    retryAfter: secondsToWait(answer.header("retry-after")),
  });
}

function origin(answer: Answer) {
  return { status: answer.status, requestId: answer.header("x-request-id") };
}

/** A proxy's page, or an empty body, gives an empty object. */
function parseObject(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

/** `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3). */
function secondsToWait(value: string | null): number | null {
  const wait = value === null || value === "" ? NaN : Number(value);
  const seconds = Number.isNaN(wait) ? (Date.parse(value ?? "") - Date.now()) / 1000 : wait;
  return Number.isNaN(seconds) ? null : Math.max(0, seconds);
}
