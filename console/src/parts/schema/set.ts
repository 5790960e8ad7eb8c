// What a form sets. Pure.

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

/** Secrets as the API takes them: a text replaces, null removes; one that was left empty is none. */
export function given(secrets: Record<string, string | null>): Record<string, string | null> {
  return Object.fromEntries(Object.entries(secrets).filter(([, value]) => value !== ""));
}
