// How a webhook is called, and what a channel tells.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { load } from "./load.mjs";

const { exampleBody, exampleCall } = await load("../src/triggers/call.ts");
const { bodyOf, draftOf, tells } = await load("../src/channels/draft.ts");

test("a call's body has a place for every parameter, however deep", () => {
  const body = (parameters) => exampleBody({ webhook: { parameters } });
  assert.equal(body({}), undefined);
  assert.equal(exampleBody({ cron: "* * * * *" }), undefined);
  assert.deepEqual(JSON.parse(body({ id: "/order/id", shop: "/order/shop/name", "a/b": "/a~1b" })), {
    order: { id: "<id>", shop: { name: "<shop>" } },
    "a/b": "<a/b>",
  });
});

test("a shell takes a call as it is meant, whatever is in it", () => {
  const url = "https://example.org/it's $HOME";
  const said = execFileSync("sh", ["-c", `curl() { printf '%s\\n' "$@"; }; ${exampleCall({ url }, { webhook: { parameters: { id: "/it's" } } })}`], { encoding: "utf8" });
  assert.deepEqual(said.split("\n").slice(0, 3), ["-X", "POST", url]);
  assert.ok(said.includes(JSON.stringify({ "it's": "<id>" })), said);
});

test("a channel without rules tells nothing, and long lists are cut short", () => {
  const rule = (events, tasks) => ({ events, tasks, repeat: false });
  assert.equal(tells([]), "Nothing");
  assert.equal(tells([rule([], [])]), "Every event of every task");
  assert.equal(tells([rule(["failure", "recovery"], ["a", "b", "c", "d"]), rule(["late"], [])]), "Failures and recoveries of a, b and 2 more; Late runs of every task");
});

test("a secret that was left alone is not sent", () => {
  const draft = { ...draftOf(undefined), secrets: { password: "", secret: null } };
  assert.deepEqual(bodyOf(draft).secrets, { secret: null });
});
