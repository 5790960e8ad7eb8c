// What the server calls and what calls it: channels that tell people and programs, webhooks that start tasks.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before } from "node:test";
import { accessible, settled, story, watch } from "./browser.mjs";
import { runIs, setUp, signIn } from "./seed.mjs";
import { System, until } from "./system.mjs";

let system;
let page;
let broken;
let receiver;

/** A program that is told: it takes nothing until it is ready, and keeps what it took. */
async function listen() {
  const took = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (piece) => (body += piece));
    request.on("end", () => {
      if (receiver.ready) took.push({ headers: request.headers, body });
      response.writeHead(receiver.ready ? 204 : 500).end();
    });
  });
  await new Promise((up) => server.listen(0, "127.0.0.1", up));
  return { ready: false, took, url: `http://127.0.0.1:${server.address().port}/told`, close: () => server.close() };
}

const HOOKS = `task: take-orders
description: Started by the shop
parameters:
  - { name: order, type: integer, required: true }
triggers:
  - { name: open, webhook: { parameters: { order: /order/id } } }
  - { name: signed, webhook: { signature: hmac_sha256, parameters: { order: /order/id } } }
steps:
  - name: read
    connector: file
    agent: background
    with: { path: no-such-file.csv }
  - name: write
    connector: file
    agent: background
    input: read
    with: { path: out.csv }
`;

before(async () => {
  system = await System.start();
  receiver = await listen();
  const context = await system.browse({ reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
  page = await context.newPage();
  broken = watch(page);
  await setUp(system);
  await signIn(page);
  await system.api("GET", "/me");
  await system.api("POST", "/tasks", HOOKS);
});

after(() => {
  receiver?.close();
  return system?.stop();
});

const test = story();

async function bothSchemes(where) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.locator(`[data-mantine-color-scheme=${colorScheme}]`).waitFor();
    await accessible(page, `${where}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

const form = () => page.getByRole("form", { name: "Channel" });
const trial = () => page.getByRole("region", { name: "Test" });

test("a channel is made by a form: what is wrong stands at its field, and a test says which stage failed", async () => {
  await page.goto("/notifications");
  await page.getByText("Nothing to show").waitFor();
  await page.getByRole("main").getByRole("link", { name: "Add a channel" }).first().click();
  await form().getByLabel("Mail server").waitFor();
  await bothSchemes("a new channel");
  await form().getByText("Webhook", { exact: true }).click();
  await form().getByLabel("Name").fill("ops");
  await form().getByLabel("Address").fill("ftp://example.org");
  await form().getByRole("textbox", { name: "Secret" }).fill("between us");
  await form().getByRole("button", { name: "Add and test" }).click();
  await form().getByText(/begins with https:/).first().waitFor();
  await form().getByLabel("Address").fill(receiver.url);
  await form().getByRole("button", { name: "Add and test" }).click();
  await page.waitForURL("**/notifications/channel_*");
  await trial().getByText(/^Failed at/).waitFor();
  await trial().getByText(/500/).first().waitFor();
  await bothSchemes("a channel with a test that failed");
  receiver.ready = true;
  await trial().getByRole("button", { name: "Test again" }).click();
  await trial().getByText("Every stage passed").waitFor();
  const { headers, body } = receiver.took[0];
  const text = `${headers["x-sallyport-timestamp"]}.${headers["idempotency-key"]}.${body}`;
  assert.equal(headers["x-sallyport-signature"], `sha256=${createHmac("sha256", "between us").update(text).digest("hex")}`);
  // It went in and does not come back.
  await form().getByText("Set", { exact: true }).waitFor();
  assert.equal((await page.content()).includes("between us"), false);
});

test("its rules say what it tells, and of two people the second is told", async () => {
  await form().getByLabel("Failures").check();
  await form().getByLabel("Recoveries").check();
  await form().getByLabel("Tasks").click();
  await page.getByRole("option", { name: "take-orders" }).click();
  await page.keyboard.press("Escape");
  const before = await system.api("GET", "/notifications/channels/ops");
  const { name, kind, settings, rules } = before;
  await system.api("PUT", "/notifications/channels/ops", { name, kind, settings, rules, hourly: 7 }, { "if-match": "*" });
  await form().getByRole("button", { name: "Save", exact: true }).click();
  await form().getByText("Somebody else has changed this channel meanwhile").waitFor();
  await form().getByRole("button", { name: "Load the newest version" }).click();
  await until("the other's change", async () => (await form().getByLabel("Notices an hour").inputValue()) === "7");
  await form().getByLabel("Failures").check();
  await form().getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Channel ops is saved").waitFor();
  const saved = await system.api("GET", "/notifications/channels/ops");
  assert.deepEqual([saved.hourly, saved.rules], [7, [{ events: ["failure"], tasks: [], repeat: false }]]);
  assert.ok("secret" in saved.secrets);
});

test("a webhook gets its address once, with a call that starts the task", async () => {
  await page.goto("/triggers");
  await settled(page);
  const row = (name) => page.getByRole("row").filter({ has: page.getByRole("cell", { name, exact: true }) });
  await row("open").getByText("No address yet").waitFor();
  for (const [name, extra] of [["open", []], ["signed", ["X-Sallyport-Signature"]]]) {
    await row(name).getByRole("button", { name: `Address of ${name}` }).click();
    const dialog = page.getByRole("dialog", { name: `Address of webhook ${name}` });
    await dialog.getByRole("button", { name: "Make the address" }).click();
    const call = dialog.getByRole("region", { name: "A call" });
    await call.waitFor();
    await bothSchemes("the address of a webhook");
    await dialog.getByRole("button", { name: "Copy the call" }).click();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, await call.textContent());
    for (const word of extra) assert.ok(copied.includes(word), copied);
    // As a person would: the order's number in its place, and typed into a shell.
    const typed = copied.replace('"<order>"', "4711");
    const env = { ...process.env, CURL_CA_BUNDLE: join(system.folder, "data/tls/ca.pem") };
    const answer = execFileSync("sh", ["-c", typed], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    const { run } = JSON.parse(answer);
    const ended = await runIs(system, run);
    assert.deepEqual([ended.trigger_name, ended.parameters], [name, { order: 4711 }]);
    assert.equal(JSON.parse(execFileSync("sh", ["-c", typed], { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })).run, run);
    await dialog.getByRole("button", { name: "Done" }).click();
    await row(name).getByText("Active", { exact: true }).waitFor();
  }
  await row("open").getByRole("button", { name: "Address of open" }).click();
  await page.getByText(/A new one ends it at once/).waitFor();
  await page.keyboard.press("Escape");
});

test("the channel was told of the failure, and is removed", async () => {
  const told = await until("the notice", () => receiver.took.find(({ body }) => JSON.parse(body).event === "failure"));
  assert.equal(JSON.parse(told.body).run.task, "take-orders");
  await page.goto("/notifications?view=deliveries");
  await page.getByRole("row").filter({ hasText: "take-orders" }).getByText("Sent").waitFor();
  await page.goto("/notifications");
  await page.getByRole("link", { name: "ops", exact: true }).click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByRole("dialog", { name: "Remove channel ops?" }).getByRole("button", { name: "Remove" }).click();
  await page.getByText("Nothing to show").waitFor();
});

test("no script failed and nothing was against the policy", () => assert.deepEqual(broken, []));
