// Changes of a document by form and mouse. Each takes a text and gives a text: comments stay, and so does every line that
// the change does not touch.

import { isCollection, isMap, isSeq, parseDocument, YAMLMap, YAMLSeq, type Document } from "yaml";
import { lines } from "./diff";
import { read, type Step } from "./model";

export type Path = (string | number)[];

/** Sets a field, or removes it when there is no value. */
export function setField(text: string, path: Path, value: unknown): string {
  return change(text, (document) => put(document, path, value));
}

export function addStep(text: string, fields: Record<string, unknown>): string {
  return change(text, (document) => {
    const steps = document.get("steps", true);
    const node = document.createNode(fields);
    compact(node);
    if (!isSeq(steps) || steps.items.length === 0) return document.set("steps", document.createNode([node]));
    // A task that is written with space between its steps goes on so.
    if (steps.items.slice(1).some((one) => isMap(one) && one.spaceBefore)) (node as YAMLMap).spaceBefore = true;
    steps.items.push(node);
  });
}

/** Removes a step and what others say of it. */
export function removeStep(text: string, gone: Step): string {
  return change(text, (document) => {
    document.deleteIn(["steps", gone.index]);
    for (const step of read(String(document)).steps) {
      const others = (names: string[]) => names.filter((name) => name !== gone.name);
      if (step.input.includes(gone.name)) putNames(document, step, "input", others(step.input), true);
      if (step.after.includes(gone.name)) putNames(document, step, "after", others(step.after), false);
    }
  });
}

/** Gives a step another name, also where others take its rows, wait for it or use its results. */
export function renameStep(text: string, step: Step, name: string): string {
  return change(text, (document) => {
    put(document, ["steps", step.index, "name"], name);
    if (step.name === "" || read(text).steps.some((other) => other.index !== step.index && other.name === step.name)) return;
    for (const other of read(text).steps) {
      const renamed = (names: string[]) => names.map((one) => (one === step.name ? name : one));
      if (other.input.includes(step.name)) putNames(document, other, "input", renamed(other.input), true);
      if (other.after.includes(step.name)) putNames(document, other, "after", renamed(other.after), false);
    }
  });
}

export function setInput(text: string, step: Step, names: string[]): string {
  return change(text, (document) => putNames(document, step, "input", names, true));
}

export function setAfter(text: string, step: Step, names: string[]): string {
  return change(text, (document) => putNames(document, step, "after", names, false));
}

/** One name stands by itself. `keep` leaves an empty list: the step still wants rows. */
function putNames(document: Document, step: Step, field: "input" | "after", names: string[], keep: boolean) {
  const path = ["steps", step.index, field];
  const [first] = names;
  if (first === undefined && !keep) return put(document, path, undefined);
  if (first !== undefined && names.length === 1) return put(document, path, first);
  const list = document.createNode(names) as YAMLSeq;
  list.flow = true;
  put(document, path, list);
}

function put(document: Document, path: Path, value: unknown) {
  if (value === undefined) {
    document.deleteIn(path);
    prune(document, path.slice(0, -1));
    return;
  }
  const [first] = path;
  if (document.contents === null && first !== undefined) document.contents = document.createNode({}) as unknown as typeof document.contents;
  const standing = document.getIn(path, true) as { value?: unknown; type?: string } | undefined;
  // A text keeps its quotes or its block.
  if (standing && !isCollection(standing) && "value" in standing && typeof standing.value === typeof value) {
    standing.value = value;
    if (typeof value === "string" && value.includes("\n")) standing.type = "BLOCK_LITERAL";
    return;
  }
  makeWay(document, path);
  const node = document.createNode(value);
  if (typeof value === "string" && value.includes("\n")) (node as { type?: string }).type = "BLOCK_LITERAL";
  document.setIn(path, node);
}

/** Makes the maps that a field stands in, in place of nothing or of something else. */
function makeWay(document: Document, path: Path) {
  for (let length = 1; length < path.length; length += 1) {
    const at = path.slice(0, length);
    if (isCollection(document.getIn(at, true))) continue;
    const node = document.createNode(typeof path[length] === "number" ? [] : {}) as YAMLMap | YAMLSeq;
    // The settings of a step stand in its line, as people write them.
    node.flow = length === 3 && path[0] === "steps" && at[2] === "with";
    document.setIn(at, node);
  }
}

/** A `with` in which nothing stands any more goes too; what else is empty says something. */
function prune(document: Document, path: Path) {
  const node = document.getIn(path, true);
  if (path.at(-1) === "with" && path.length === 3 && isMap(node) && node.items.length === 0) document.deleteIn(path);
}

/** Small maps of a new step stand in one line. */
function compact(node: unknown) {
  if (!isMap(node)) return;
  for (const { key, value } of node.items) {
    const inLine = isSeq(value) || (isMap(value) && String((key as { value?: unknown }).value) === "with");
    if (inLine) (value as YAMLMap).flow = true;
  }
}

/** The text as it would be written anew, but with every old line that says the same. */
function change(text: string, edit: (document: Document) => void): string {
  const document = parseDocument(text, { strict: false });
  // Half a document cannot be changed: the text goes first.
  if (document.errors.length > 0) return text;
  const style = { lineWidth: 0, indentSeq: !/^(steps|triggers|parameters):[^\n]*\n(\s*(#[^\n]*)?\n)*- /m.test(text) };
  const before = document.toString(style);
  edit(document);
  const after = document.toString(style);
  if (before === after) return text;
  const own = kept(text, before, after);
  return same(own, after) ? own : after;
}

/** Writing anew changes spaces: where a line was the same before the change, the person's own is taken. */
function kept(text: string, before: string, after: string): string {
  const own = text.split("\n");
  const written = before.split("\n");
  // Lines of the text by the lines that they became.
  const became = new Map<number, number>();
  for (const row of lines(own.map(bare), written.map(bare))) {
    if (row.kind === "same") became.set(row.right, row.left);
  }
  const taken = new Set(became.values());
  return lines(written, after.split("\n"))
    .flatMap((row) => {
      if (row.kind === "gone") return [];
      const from = row.kind === "same" ? became.get(row.left) : undefined;
      if (from === undefined || indent(own[from]) !== indent(row.text)) return [row.text];
      // Of several empty lines only one was written.
      let first = from;
      while (first > 0 && own[first - 1]?.trim() === "" && !taken.has(first - 1)) first -= 1;
      return own.slice(first, from + 1);
    })
    .join("\n");
}

/** Whether two texts say the same. */
function same(one: string, other: string): boolean {
  const said = (text: string) => {
    const document = parseDocument(text, { strict: false });
    return document.errors.length > 0 ? undefined : JSON.stringify(document.toJS({ maxAliasCount: 100 }));
  };
  return said(one) !== undefined && said(one) === said(other);
}

const bare = (line: string) => line.replace(/\s+/g, "");

const indent = (line: string | undefined) => /^ */.exec(line ?? "")?.[0].length;
