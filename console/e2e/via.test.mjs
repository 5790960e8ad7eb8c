// A web page behind an agent, in a real browser: with a WebSocket, with the connection's own key, and with nothing of the
// console.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, before } from "node:test";
import { story } from "./browser.mjs";
import { onlineAgent, setUp, signIn } from "./seed.mjs";
import { freePort, System, until } from "./system.mjs";

const KEY = "the service's own key";

let system;
let service;
let port;
let page;

before(async () => {
  system = await System.start();
  const context = await system.browse({ reducedMotion: "reduce" });
  page = await context.newPage();
  await setUp(system);
  await signIn(page);
  await system.api("GET", "/me");
  port = await freePort();
  service = spawn("python3", [join(import.meta.dirname, "../../crates/e2e/src/service.py"), String(port)], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((ready) => service.stdout.once("data", ready));
  await onlineAgent(system, "site");
});

after(() => {
  service?.kill();
  return system?.stop();
});

const test = story();

/** What the service's page has found out. */
async function found(shown) {
  const text = (id) => shown.locator(`#${id}`).textContent();
  await until("the page's scripts", async () => (await Promise.all(["said", "told", "kept"].map(text))).every((said) => said !== "waiting"));
  return { said: await text("said"), told: await text("told"), kept: await text("kept") };
}

function isApart({ said, told, kept }) {
  assert.equal(said, "is anybody there?", "the WebSocket");
  assert.equal(told, `${KEY} 1`, "a request with the connection's key");
  // Neither cookies, nor storage, nor answers of the console's API are the page's.
  assert.equal(kept, "SecurityError TypeError");
}

test("a page opens from its connection, in a window of its own", async () => {
  const settings = { url: `http://127.0.0.1:${port}/base`, secret_header: "X-Api-Key" };
  await system.api("POST", "/connections", { name: "erp", kind: "http", agents: ["site"], settings, secrets: { header: KEY } });
  await page.goto("/connections/erp");
  const [opened] = await Promise.all([page.context().waitForEvent("page"), page.getByRole("button", { name: "Open" }).click()]);
  await until("the base", async () => (await opened.locator("body").textContent()) === "the base");
  assert.match(new URL(opened.url()).pathname, /^\/view\/[\w-]{43}\/$/);
  await opened.goto(new URL("page", opened.url()).href);
  isApart(await found(opened));
  await opened.close();
});

test("a token as password opens the same page", async () => {
  const context = await system.browse({ httpCredentials: { username: "anyone", password: system.token, origin: system.url } });
  const shown = await context.newPage();
  await shown.goto("/via/erp/page");
  assert.match(new URL(shown.url()).pathname, /^\/view\/[\w-]{43}\/page$/);
  isApart(await found(shown));
  await context.close();
});

test("the console's login alone opens nothing", async () => {
  const answer = await page.goto("/via/erp/page").catch((error) => error);
  // A browser without a password shows the refusal, or that it could not ask.
  const status = answer instanceof Error ? answer.message : answer.status();
  assert.match(String(status), /401|ERR_INVALID_AUTH_CREDENTIALS/);
});
