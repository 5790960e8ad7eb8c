// How a webhook is called, as a person would type it. Pure.

interface Hook {
  url: string;
  secret?: string | null | undefined;
}

/** A body that has a place for every parameter that the trigger reads from it; undefined where it reads none. */
export function exampleBody(definition: object): string | undefined {
  const webhook = (definition as { webhook?: { parameters?: Record<string, string> } | null }).webhook;
  const pointers = Object.entries(webhook?.parameters ?? {});
  if (pointers.length === 0) return undefined;
  const body: Record<string, unknown> = {};
  for (const [parameter, pointer] of pointers) {
    const parts = pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    put(body, parts, `<${parameter}>`);
  }
  return JSON.stringify(body);
}

function put(into: Record<string, unknown>, [first, ...rest]: string[], value: string) {
  if (first === undefined) return;
  if (rest.length === 0) {
    into[first] ??= value;
    return;
  }
  const inner = into[first];
  const next = typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>) : {};
  into[first] = next;
  put(next, rest, value);
}

/** For a shell. The key makes a repeated call find the first one's run. */
export function exampleCall({ url, secret }: Hook, definition: object): string {
  const body = exampleBody(definition);
  if (!secret) {
    const data = body === undefined ? "" : ` \\\n  -H 'Content-Type: application/json' -d ${quoted(body)}`;
    return `curl -X POST ${quoted(url)} -H 'Idempotency-Key: call-1'${data}`;
  }
  const data = body === undefined ? "" : ` \\\n  -H 'Content-Type: application/json' -d "$body"`;
  return `key=call-1 time=$(date +%s) body=${quoted(body ?? "")}
sign=$(printf '%s.%s.%s' "$time" "$key" "$body" | openssl dgst -sha256 -hmac ${quoted(secret)} -r | cut -d' ' -f1)
curl -X POST ${quoted(url)} -H "Idempotency-Key: $key" \\
  -H "X-Sallyport-Timestamp: $time" -H "X-Sallyport-Signature: sha256=$sign"${data}`;
}

/** As a shell takes it, whatever is in it. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
