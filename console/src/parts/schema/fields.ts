// The fields of a form, out of a JSON Schema. Pure: it knows nothing of pages.

type Schema = Record<string, unknown>;

export interface Choice {
  value: string;
  description: string;
}

export interface Field {
  name: string;
  title: string;
  description: string;
  required: boolean;
  /** What is meant where nothing is set; undefined where nothing is said. */
  fallback: unknown;
  kind: "text" | "code" | "number" | "switch" | "choice" | "words" | "group" | "rows" | "any";
  choices: Choice[];
  /** Of a group, or of each row. */
  fields: Field[];
  /** Whether a text that is a whole number is meant as one. */
  numeric: boolean;
}

/** What people look for first; other fields follow in the order of the alphabet. */
const FIRST = [
  "name", "url", "host", "port", "database", "user", "tls", "root", "program", "path", "table", "query", "columns", "where",
  "column", "mode", "key", "create", "format", "incremental", "type", "attempts", "backoff",
];

const rank = (name: string) => {
  const at = FIRST.indexOf(name);
  return at < 0 ? FIRST.length : at;
};

/** The fields of an object's schema: those that are needed first. */
export function fieldsOf(schema: unknown): Field[] {
  return object(isSchema(schema) ? schema : {}, isSchema(schema) ? schema : {});
}

/** The fields of one of a schema's definitions. */
export function fieldsOfDefinition(schema: unknown, definition: string): Field[] {
  const root = isSchema(schema) ? schema : {};
  return object(plain({ $ref: `#/$defs/${definition}` }, root), root);
}

function object(schema: Schema, root: Schema): Field[] {
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const properties = Object.entries((schema["properties"] ?? {}) as Record<string, Schema>);
  const fields = properties.map(([name, shape]) => field(name, shape, required.includes(name), root));
  return fields.sort((a, b) => Number(b.required) - Number(a.required) || rank(a.name) - rank(b.name) || a.name.localeCompare(b.name));
}

function field(name: string, raw: Schema, required: boolean, root: Schema): Field {
  const shape = plain(raw, root);
  const about = {
    name,
    title: typeof shape["title"] === "string" && raw["title"] !== undefined ? shape["title"] : titled(name),
    description: typeof raw["description"] === "string" ? raw["description"].replaceAll("\n", " ") : text(shape["description"]),
    required,
    fallback: raw["default"] ?? undefined,
    choices: choices(shape),
    fields: [] as Field[],
    numeric: false,
  };
  const type = typeOf(shape);
  if (about.choices.length > 0) return { ...about, kind: "choice" };
  if (type === "boolean") return { ...about, kind: "switch" };
  if (type === "integer" || type === "number") return { ...about, kind: "number" };
  if (type === "array") {
    const items = plain((shape["items"] ?? {}) as Schema, root);
    if (isSchema(items["properties"])) return { ...about, kind: "rows", fields: object(items, root) };
    return { ...about, kind: typeOf(items) === "string" ? "words" : "any" };
  }
  if (isSchema(shape["properties"])) return { ...about, kind: "group", fields: object(shape, root) };
  if (type === "object") return { ...about, kind: "any" };
  const either = variants(shape).map((variant) => typeOf(plain(variant, root)));
  const sql = raw["contentMediaType"] !== undefined || name === "ca";
  return { ...about, kind: sql ? "code" : "text", numeric: either.some((one) => one === "integer" || one === "number") };
}

/** Follows a reference, and takes "this or nothing" as this. */
function plain(shape: Schema, root: Schema): Schema {
  const target = shape["$ref"];
  if (typeof target === "string" && target.startsWith("#/$defs/")) {
    const found = (root["$defs"] as Record<string, Schema> | undefined)?.[target.slice(8)] ?? {};
    return { ...plain(found, root), ...(shape["title"] === undefined ? {} : { title: shape["title"] }) };
  }
  const some = variants(shape).filter((variant) => variant["type"] !== "null");
  return some.length === 1 && some[0] ? { ...shape, ...plain(some[0], root) } : shape;
}

function variants(shape: Schema): Schema[] {
  return Array.isArray(shape["anyOf"]) ? (shape["anyOf"] as Schema[]) : [];
}

function typeOf(shape: Schema): string {
  const type = shape["type"];
  if (Array.isArray(type)) return String(type.find((one) => one !== "null") ?? "string");
  return typeof type === "string" ? type : "string";
}

function choices(shape: Schema): Choice[] {
  if (Array.isArray(shape["enum"])) return shape["enum"].filter((one) => one !== null).map((one) => ({ value: String(one), description: "" }));
  if (!Array.isArray(shape["oneOf"])) return [];
  const all = shape["oneOf"] as Schema[];
  if (!all.every((one) => typeof one["const"] === "string" || Array.isArray(one["enum"]))) return [];
  return all.flatMap((one) =>
    typeof one["const"] === "string" ? [{ value: one["const"], description: text(one["description"]) }] : choices(one),
  );
}

const isSchema = (value: unknown): value is Schema => typeof value === "object" && value !== null && !Array.isArray(value);

const text = (value: unknown) => (typeof value === "string" ? value.replaceAll("\n", " ") : "");

function titled(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
