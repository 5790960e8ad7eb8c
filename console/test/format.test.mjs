// How what somebody said is shown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.mjs";

const { sentence } = await load("../src/parts/format.ts");

test("a sentence has a large first letter, a name stays as it is written", () => {
  assert.equal(sentence("the server knows it"), "The server knows it");
  assert.equal(sentence("refused: not now"), "Refused: not now");
  assert.equal(sentence(""), "");
  for (const name of ["appsettings.json is understood", "logs/ can be written to", "localhost is 127.0.0.1", "localhost:8443 is reached", "9.1.0 was installed"]) {
    assert.equal(sentence(name), name);
  }
});
