// What a task's document says, as far as it can be read: a document in the middle of being typed is no error here.

import { isMap, isSeq, LineCounter, parseDocument, type Document } from "yaml";

export interface Step {
  /** Its place in the document's `steps`. */
  index: number;
  name: string;
  connector: string | undefined;
  connection: string | undefined;
  agent: string | undefined;
  transform: string | undefined;
  /** The task that it starts. */
  task: string | undefined;
  input: string[];
  after: string[];
  /** Whether it is meant to take rows, even from nobody yet. */
  takes: boolean;
  active: boolean;
  with: Record<string, unknown>;
  /** The whole of it, as it stands. */
  raw: Record<string, unknown>;
}

export interface Model {
  document: Document;
  /** Why the text is no YAML; then the rest is empty. */
  broken: string | undefined;
  raw: Record<string, unknown>;
  name: string;
  steps: Step[];
  parameters: Record<string, unknown>[];
  triggers: Record<string, unknown>[];
}

export function read(text: string): Model {
  const document = parseDocument(text, { strict: false, lineCounter: new LineCounter() });
  const broken = document.errors[0]?.message;
  const whole: unknown = broken === undefined ? document.toJS({ maxAliasCount: 100 }) : {};
  const raw = isObject(whole) ? whole : {};
  return {
    document,
    broken: broken ?? (whole !== null && !isObject(whole) ? "A task is a map that begins with `task:`" : undefined),
    raw,
    name: text_(raw["task"]) ?? "",
    steps: objects(raw["steps"]).map(step),
    parameters: objects(raw["parameters"]),
    triggers: objects(raw["triggers"]),
  };
}

function step(raw: Record<string, unknown>, index: number): Step {
  const input = names(raw["input"]);
  return {
    index,
    name: text_(raw["name"]) ?? "",
    connector: text_(raw["connector"]),
    connection: text_(raw["connection"]),
    agent: text_(raw["agent"]),
    transform: text_(raw["transform"]),
    task: text_(raw["task"]),
    input,
    after: names(raw["after"]),
    takes: input.length > 0 || "input" in raw,
    active: raw["active"] !== false,
    with: isObject(raw["with"]) ? raw["with"] : {},
    raw,
  };
}

/** Where a field stands in the text, from and to, in characters. */
export function rangeOf({ document }: Model, path: (string | number)[]): [from: number, to: number] | undefined {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] | null } | undefined;
    if (node?.range) {
      // A whole map would mark half the text; its first line is enough.
      const [from, to] = node.range;
      return isMap(node) || isSeq(node) ? [from, from] : [from, to];
    }
  }
  return undefined;
}

/** Steps without a name, or in a list that is no list yet, are kept in their places. */
const objects = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.map((one) => (isObject(one) ? one : {})) : []);

const names = (value: unknown): string[] => (Array.isArray(value) ? value : value === undefined || value === null ? [] : [value]).map(String);

const text_ = (value: unknown) => (value === undefined || value === null ? undefined : String(value));

export const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
