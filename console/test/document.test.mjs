// Changes of a task's document: what they say, and what they leave as it was.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const edit = await load("../src/tasks/document/edit.ts");
const { read } = await load("../src/tasks/document/model.ts");
const { lines } = await load("../src/tasks/document/diff.ts");

const TASK = `task: copy-orders            # the name
description:   Orders into a file


steps:
  - name: orders             # reads: no input
    connection: client-db
    with: { table: orders,   columns: [id, price] }

  - name: large   # only some
    input: orders
    transform: |
      select *
      from orders
  - { name: file, connector: file, agent: a, input: [large], with: { path: "x.csv" } }
`;

/** The lines that a change takes away and those that it brings. */
function changed(after, before = TASK) {
  const rows = lines(before.split("\n"), after.split("\n"));
  return { gone: rows.filter((row) => row.kind === "gone").map((row) => row.text.trim()), fresh: rows.filter((row) => row.kind === "new").map((row) => row.text.trim()) };
}

const step = (text, name) => read(text).steps.find((one) => one.name === name);

test("a field is set where it stands, and nothing else changes", () => {
  const after = edit.setField(TASK, ["steps", 0, "with", "table"], "people");
  assert.deepEqual(changed(after).fresh, ["with: { table: people, columns: [ id, price ] }"]);
  assert.equal(changed(after).gone.length, 1);
  assert.equal(step(after, "orders").with.table, "people");
});

test("a comment beside what is changed stays", () => {
  const after = edit.setField(TASK, ["task"], "other");
  assert.deepEqual(changed(after), { gone: ["task: copy-orders            # the name"], fresh: ["task: other # the name"] });
});

test("quotes and blocks stay", () => {
  assert.match(edit.setField(TASK, ["steps", 2, "with", "path"], "y.csv"), /path: "y.csv"/);
  assert.match(edit.setField(TASK, ["steps", 1, "transform"], "select 1\nfrom orders"), /transform: \|-?\n      select 1\n      from orders\n/);
});

test("the last setting takes its `with` with it", () => {
  const after = edit.setField(TASK, ["steps", 2, "with", "path"], undefined);
  assert.equal(step(after, "file").raw.with, undefined);
});

test("settings are made where there were none", () => {
  const after = edit.setField("task: t\nsteps:\n  - name: a\n", ["steps", 0, "with", "table"], "x");
  assert.equal(after, "task: t\nsteps:\n  - name: a\n    with: { table: x }\n");
});

test("a step is added as the others are written", () => {
  const after = edit.addStep(TASK, { name: "more", connector: "file", input: [], with: { path: "z" } });
  assert.deepEqual(changed(after).gone, []);
  assert.ok(after.includes("  - name: more\n    connector: file\n    input: []\n    with: { path: z }\n"), after);
  assert.equal(edit.addStep("", { name: "a" }), "steps:\n  - name: a\n");
});

test("with a step go the words of others about it; who took its rows still wants some", () => {
  const after = edit.removeStep(TASK, step(TASK, "orders"));
  assert.deepEqual(read(after).steps.map((one) => [one.name, one.input, one.takes]), [["large", [], true], ["file", ["large"], true]]);
  assert.ok(after.includes("# only some"), after);
});

test("a step is renamed where it is named", () => {
  const after = edit.renameStep(TASK, step(TASK, "large"), "dear");
  assert.deepEqual(read(after).steps.map((one) => [one.name, one.input]), [["orders", []], ["dear", ["orders"]], ["file", ["dear"]]]);
  assert.equal(changed(after).fresh.length, 2, after);
});

test("inputs are one name or a list", () => {
  const both = edit.setInput(TASK, step(TASK, "large"), ["orders", "file"]);
  assert.match(both, /input: \[ ?orders, file ?\]/);
  assert.match(edit.setInput(both, step(both, "large"), ["file"]), /input: file\n/);
});

test("a list that is not indented stays so", () => {
  const flat = "task: t\nsteps:\n- name: a\n  connector: file\n- name: b\n";
  assert.deepEqual(changed(edit.setField(flat, ["steps", 0, "agent"], "x"), flat), { gone: [], fresh: ["agent: x"] });
});

test("half a document is left alone", () => {
  const half = "task: [\nsteps:\n";
  assert.ok(read(half).broken);
  assert.equal(edit.setField(half, ["task"], "x"), half);
});

test("the difference of two texts is the shortest one", () => {
  const rows = lines(["a", "b", "c", "d"], ["a", "x", "c", "e", "d"]);
  assert.deepEqual(rows.map((row) => row.kind[0] + row.text), ["sa", "gb", "nx", "sc", "ne", "sd"]);
  assert.deepEqual(lines([], ["a"]).map((row) => row.kind), ["new"]);
});
