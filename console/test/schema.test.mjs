// Forms out of JSON Schemas, and problems at their fields.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { fieldsOf, fieldsOfDefinition } = await load("../src/parts/schema/fields.ts");
const { place, wrongAt, wrongWithin } = await load("../src/parts/schema/problems.ts");
const { bodyOf } = await load("../src/connections/draft.ts");
const { setIn } = await load("../src/parts/schema/set.ts");
const { lines } = await load("../src/tasks/document/diff.ts");
const { joints, places } = await load("../src/tasks/graph/layout.ts");
const { read } = await load("../src/tasks/document/model.ts");

const SCHEMA = {
  $defs: {
    Mode: { description: "What happens.", oneOf: [{ const: "append", description: "Adds them." }, { const: "replace", description: "Anew." }] },
    Since: { type: "object", properties: { lag: { anyOf: [{ $ref: "#/$defs/Lag" }, { type: "null" }] }, column: { type: "string" } }, required: ["column"] },
    Lag: { anyOf: [{ type: "integer" }, { type: "string" }] },
    Column: { type: "object", properties: { name: { type: "string" }, type: { type: "string" } } },
  },
  type: "object",
  required: ["table"],
  properties: {
    zeal: { type: ["boolean", "null"], default: null },
    mode: { $ref: "#/$defs/Mode", default: "append", title: "Mode", description: "What happens\nwith the rows." },
    incremental: { anyOf: [{ $ref: "#/$defs/Since" }, { type: "null" }] },
    columns: { type: ["array", "null"], items: { $ref: "#/$defs/Column" } },
    key: { type: "array", items: { type: "string" }, default: [] },
    parallel: { type: "integer", default: 1 },
    query: { type: ["string", "null"], contentMediaType: "application/sql" },
    on_bad_row: { anyOf: [{ $ref: "#/$defs/Mode" }, { type: "null" }] },
    settings: { type: "object", additionalProperties: true },
    table: { type: "string" },
  },
};

test("every field has its kind; what is needed comes first, then what people look for", () => {
  const fields = fieldsOf(SCHEMA);
  assert.deepEqual(
    fields.map((field) => [field.name, field.kind]),
    [
      ["table", "text"], ["query", "code"], ["columns", "rows"], ["mode", "choice"], ["key", "words"], ["incremental", "group"],
      ["on_bad_row", "choice"], ["parallel", "number"], ["settings", "any"], ["zeal", "switch"],
    ],
  );
  const by = Object.fromEntries(fields.map((field) => [field.name, field]));
  assert.equal(by.mode.description, "What happens with the rows.");
  assert.deepEqual(by.mode.choices.map((choice) => choice.value), ["append", "replace"]);
  assert.equal(by.on_bad_row.title, "On bad row");
  assert.deepEqual(by.incremental.fields.map((field) => [field.name, field.required, field.numeric]), [["column", true, false], ["lag", false, true]]);
  assert.deepEqual(by.columns.fields.map((field) => field.name), ["name", "type"]);
});

test("definitions have their fields too, and no schema has none", () => {
  assert.deepEqual(fieldsOfDefinition(SCHEMA, "Column").map((field) => field.name), ["name", "type"]);
  assert.deepEqual(fieldsOf(undefined), []);
});

test("a problem stands at its field; what is missing, where it should be", () => {
  const missing = { path: "/steps/0/with", code: "missing_field", message: "the field `table` is missing" };
  const wrong = { path: "/steps/1/with/columns/0/type", code: "bad_value", message: "no such type" };
  assert.equal(place(missing), "/steps/0/with/table");
  assert.equal(wrongAt([missing], "/steps/0/with/table"), missing.message);
  assert.equal(wrongWithin([missing, wrong], "/steps/1/with/columns"), wrong.message);
  assert.equal(wrongWithin([wrong], "/steps/1/with/col"), undefined);
});

test("settings change where they stand, and empty secrets are none", () => {
  const before = { a: { b: 1 }, list: [{ x: 1 }] };
  assert.deepEqual(setIn(before, ["a", "c"], 2), { a: { b: 1, c: 2 }, list: [{ x: 1 }] });
  assert.deepEqual(setIn(before, ["a"], undefined), { list: [{ x: 1 }] });
  assert.deepEqual(setIn(before, ["list", 0, "x"], 5).list, [{ x: 5 }]);
  assert.deepEqual(before, { a: { b: 1 }, list: [{ x: 1 }] });
  const draft = { name: "n", kind: "k", agents: ["a"], settings: {}, secrets: { password: "", old: null, key: "s" } };
  assert.deepEqual(bodyOf(draft).secrets, { old: null, key: "s" });
});

test("steps that rows join stand in a row, what comes after them below, also in a circle", () => {
  const of = (text) => {
    const { steps } = read(text);
    return places(steps.map((step) => step.name), joints(steps));
  };
  const found = of("steps:\n- { name: b, after: w }\n- { name: r }\n- { name: w, input: r }\n- { name: c, input: b }\n");
  assert.equal(found.get("r").y, found.get("w").y);
  assert.ok(found.get("r").x < found.get("w").x);
  assert.ok(found.get("b").y > found.get("w").y);
  assert.equal(found.get("b").y, found.get("c").y);
  assert.equal(of("steps:\n- { name: a, after: b, input: b }\n- { name: b, after: a, input: a }\n").size, 2);
});

test("texts that are too large to compare line by line are told apart as a whole", () => {
  const many = (word) => Array.from({ length: 2100 }, (_, at) => `${word} ${at}`);
  const rows = lines(["same", ...many("old")], ["same", ...many("new")]);
  assert.deepEqual([rows.filter((row) => row.kind === "same").length, rows.filter((row) => row.kind === "gone").length], [1, 2100]);
});
