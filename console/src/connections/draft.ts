// A connection while it is written. Pure.

import type { Connection } from "../api/types";

export interface Draft {
  name: string;
  kind: string;
  agent: string;
  settings: Record<string, unknown>;
  /** A text replaces, null removes; what is not here stays. */
  secrets: Record<string, string | null>;
}

export function draftOf(connection: Connection | undefined): Draft {
  if (!connection) return { name: "", kind: "", agent: "", settings: {}, secrets: {} };
  const { name, kind, agent, settings } = connection;
  return { name, kind, agent, settings: settings as Record<string, unknown>, secrets: {} };
}

/** As the API takes it: an empty secret is none. */
export function bodyOf({ secrets, ...draft }: Draft): object {
  const given = Object.fromEntries(Object.entries(secrets).filter(([, value]) => value !== ""));
  return { ...draft, secrets: given };
}

/** A value set, or removed, deep in an object; what stood there is not touched. */
export function setIn(whole: unknown, [first, ...rest]: (string | number)[], value: unknown): unknown {
  if (first === undefined) return value;
  if (typeof first === "number") {
    const list = Array.isArray(whole) ? [...(whole as unknown[])] : [];
    list[first] = setIn(list[first], rest, value);
    return list;
  }
  const { [first]: standing, ...others } = (typeof whole === "object" && whole !== null ? whole : {}) as Record<string, unknown>;
  const next = setIn(standing, rest, value);
  return next === undefined ? others : { ...others, [first]: next };
}
