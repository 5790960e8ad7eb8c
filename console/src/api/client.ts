// Requests to the server. The login is a cookie that scripts cannot read.

import { chosenEnvironment } from "../shell/settings";
import type { FieldProblem, Problem } from "./types";

/** What the server refused, in its own words. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly problems: FieldProblem[];

  constructor(status: number, code: string, message: string, problems: FieldProblem[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.problems = problems;
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export interface Ask {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: Query | undefined;
  json?: unknown;
  /** A document as it is, such as a task's YAML. */
  text?: string;
  /** The version that an edit is based on. */
  version?: number;
  signal?: AbortSignal;
}

/** Parts of a path that come from data. */
export function path(strings: TemplateStringsArray, ...values: string[]): string {
  return strings.reduce((whole, part, at) => whole + part + encodeURIComponent(values[at] ?? ""), "");
}

/** Asks and gives the answer; throws `ApiError` when it is refused. */
export async function send(to: string, ask: Ask = {}): Promise<Response> {
  const headers = new Headers();
  let body: string | undefined;
  if (ask.json !== undefined) {
    headers.set("content-type", "application/json");
    body = JSON.stringify(ask.json);
  } else if (ask.text !== undefined) {
    headers.set("content-type", "application/yaml");
    body = ask.text;
  }
  if (ask.version !== undefined) headers.set("if-match", `"${ask.version}"`);
  const environment = chosenEnvironment();
  if (environment) headers.set("sallyport-environment", environment);
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(ask.query ?? {})) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  const address = `/api/v1${to}${query.size > 0 ? `?${query}` : ""}`;
  const response = await fetch(address, {
    method: ask.method ?? "GET",
    headers,
    ...(body === undefined ? {} : { body }),
    ...(ask.signal ? { signal: ask.signal } : {}),
  }).catch((cause: unknown) => {
    if (ask.signal?.aborted) throw cause;
    throw new ApiError(0, "unreachable", "the server does not answer; check the network, it is tried again");
  });
  if (!response.ok) throw await refusal(response);
  return response;
}

/** Asks and reads the JSON of the answer. */
export async function get<T>(to: string, ask: Ask = {}): Promise<T> {
  return (await send(to, ask)).json() as Promise<T>;
}

async function refusal(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => null)) as Problem | null;
  if (!problem?.code) return new ApiError(response.status, "unknown", `the server answered ${response.status}`);
  return new ApiError(response.status, problem.code, problem.detail, problem.problems ?? []);
}

/** A file as the server names it; the whole of it is held, so that a refusal can be told. */
export async function download(to: string, ask: Ask = {}): Promise<{ name: string; blob: Blob }> {
  const response = await send(to, ask);
  const said = response.headers.get("content-disposition") ?? "";
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(said)?.[1];
  const plain = /filename="([^"]+)"/i.exec(said)?.[1];
  return { name: encoded ? decodeURIComponent(encoded) : (plain ?? "download"), blob: await response.blob() };
}

/** Hands a file to the browser. */
export function save(name: string, blob: Blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken it up by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
