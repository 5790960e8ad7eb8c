// What a person does on the first day: from the empty list to a run that moves rows.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { accessible as axe, story, watch } from "./browser.mjs";
import { EMAIL, end, PASSWORD, System, until } from "./system.mjs";

let system;
let page;
let agent;
let broken;

before(async () => {
  system = await System.start();
  const context = await system.browse();
  page = await context.newPage();
  broken = watch(page);
});

after(() => system?.stop());

const test = story();

const row = (name) => page.getByRole("row").filter({ hasText: name });

const accessible = (where) => axe(page, where);

test("the first start's link sets the password, and the console lets in", async () => {
  await page.goto(new URL(system.setUpLink).pathname + new URL(system.setUpLink).search);
  await page.getByLabel("Name").fill("Ada");
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.getByLabel(/Password/).fill(PASSWORD);
  await page.getByRole("button", { name: "Set password" }).click();
  await page.goto("/agents?status=offline");
  await page.waitForURL("**/sign-in?**");
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.locator("input[type=password]").fill("wrong password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").getByText("E-mail address or password is wrong").waitFor();
  await accessible("the sign-in");
  await page.locator("input[type=password]").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  // Back where the person wanted to go.
  await page.waitForURL("**/agents?status=offline");
  await page.getByText("Nothing to show").waitFor();
});

test("an agent is added and stands in the list, offline", async () => {
  await page.goto("/agents");
  await page.getByRole("button", { name: "Add" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Agent settings" });
  await dialog.getByLabel("Name").fill("Training agent");
  await dialog.getByRole("tab", { name: "File & console log" }).click();
  await dialog.getByText("Technical details and partial steps").first().waitFor();
  await accessible("the agent's dialog");
  await dialog.getByRole("button", { name: "Save" }).click();
  await row("Training agent").getByText("Offline").waitFor();
  await page.getByRole("link", { name: "1 offline" }).waitFor();
});

test("its download says so, has its name, and starts", async () => {
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download Training agent" }).click();
  await page.getByRole("menuitem", { name: "Restricted" }).click();
  await page.getByText("Retrieving a file...").waitFor();
  const download = await saved;
  assert.equal(download.suggestedFilename(), "Sallyport.Agent.Training agent.zip");
  const zip = join(system.folder, download.suggestedFilename());
  await download.saveAs(zip);
  agent = system.startAgent(zip, "Training agent");
  await row("Training agent").getByText("Online").waitFor();
  await page.getByRole("link", { name: "2 online" }).waitFor();
});

test("an online agent offers a restart and no deactivation; the restart asks first", async () => {
  await page.getByRole("button", { name: "More for Training agent" }).click();
  await page.getByRole("menuitem", { name: "Restart" }).waitFor();
  assert.equal(await page.getByRole("menuitem", { name: "Deactivate" }).count(), 0);
  const before = await system.api("GET", "/agents/Training agent");
  await page.getByRole("menuitem", { name: "Restart" }).click();
  const dialog = page.getByRole("dialog", { name: "Restart agent Training agent?" });
  await dialog.getByText("It executes nothing now.").waitFor();
  await dialog.getByRole("button", { name: "Restart" }).click();
  await page.getByText("Agent Training agent restarts").waitFor();
  await until("the restart", async () => {
    const now = await system.api("GET", "/agents/Training agent");
    return now.status === "online" && now.detail.process_id !== before.detail.process_id;
  });
});

test("the detail has the process, the log follows what is written", async () => {
  await page.getByRole("link", { name: "Training agent", exact: true }).click();
  const known = await system.api("GET", "/agents/Training agent");
  for (const name of ["Can execute process", "Can write", "Directory", "Executed by", "Is 64 bit process", "Machine name", "Process ID", "Source IP"]) {
    await page.getByText(name, { exact: true }).waitFor();
  }
  await page.getByText(String(known.detail.process_id), { exact: true }).waitFor();
  await accessible("the agent's page");
  await page.getByRole("link", { name: "Log of Training agent" }).click();
  const log = page.getByRole("log", { name: "Agent log" });
  await log.getByText("online", { exact: false }).first().waitFor();
  await accessible("the agent's log");
  await page.getByRole("button", { name: "Pause" }).click();
  // Restarted, so that it writes something.
  await system.api("POST", "/agents/Training agent/restart", {});
  const resume = page.getByRole("button", { name: /^Paused - [1-9]\d* new lines? - Jump to live$/ });
  await resume.click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await until("the agent", async () => (await system.api("GET", "/agents/Training agent")).status === "online");
});

test("a connection is tested from its agent, and says which stage fails", async () => {
  const files = join(system.folder, "Training agent", "orders");
  mkdirSync(files);
  await system.api("POST", "/connections", { name: "orders-db", kind: "sqlite", agent: "Training agent", settings: { path: join(files, "orders.db") } });
  await page.goto("/connections");
  await page.getByRole("button", { name: "Test orders-db" }).click();
  const dialog = page.getByRole("dialog", { name: "Test of orders-db" });
  await dialog.getByText(/^Failed at/).waitFor();
  execFileSync("python3", ["-c", "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\ndb.execute('create table orders (id integer, price real)')\ndb.executemany('insert into orders values (?, ?)', [(i, i * 1.5) for i in range(1000)])\ndb.commit()", join(files, "orders.db")]);
  await dialog.getByRole("button", { name: "Test again" }).click();
  await dialog.getByText("Every stage passed").waitFor();
  await accessible("the test's dialog");
  await dialog.getByRole("button", { name: "Close" }).last().click();
});

const TASK = (table) => `task: copy-orders
description: Orders into a file
parameters:
  - { name: least, type: integer, default: 0, description: Only orders that cost more }
steps:
  - name: orders
    connection: orders-db
    with: { table: ${table} }
  - name: large
    input: orders
    transform: select * from orders where price > {{ parameters.least | sql }}
  - name: file
    connector: file
    agent: Training agent
    input: large
    with: { path: orders.csv }
`;

test("a task is written, checked at its fields, saved and started", async () => {
  await page.goto("/new-task");
  const editor = page.getByRole("textbox", { name: "Task document" });
  const write = async (text) => {
    await editor.click();
    await page.keyboard.press("Control+A");
    await page.keyboard.insertText(text);
  };
  await write(TASK("orders").replace("orders-db", "no-such-db"));
  await page.getByText("/steps/0/connection").waitFor();
  await write(TASK("orders"));
  await page.getByText("The document is right.").waitFor();
  await accessible("the task's page");
  await page.getByRole("button", { name: "Add the task" }).click();
  await page.waitForURL("**/tasks/task_*");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Start copy-orders" });
  await dialog.getByLabel("least").fill("300");
  await dialog.getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL("**/runs/run_*");
  await page.getByRole("main").getByText("Succeeded").first().waitFor();
  await page.getByRole("row").filter({ hasText: "file" }).getByText("799").first().waitFor();
  await page.getByRole("log", { name: "Run log" }).locator(".log-line").first().waitFor();
  await accessible("the run's page");
  assert.ok(existsSync(join(system.folder, "Training agent", "files", "orders.csv")));
});

test("two people who edit one task do not overwrite each other", async () => {
  await page.goto("/tasks");
  await page.getByRole("link", { name: "copy-orders", exact: true }).click();
  await page.getByText("The document is right.").waitFor();
  const editor = page.getByRole("textbox", { name: "Task document" });
  await editor.click();
  await page.keyboard.press("Control+End");
  await page.keyboard.insertText("# mine\n");
  await system.api("PUT", "/tasks/copy-orders", `${TASK("orders")}# theirs\n`, { "if-match": "*" });
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByText("Somebody else has saved this task meanwhile").waitFor();
  await page.getByRole("button", { name: "Load the newest version" }).click();
  await editor.getByText("# theirs").waitFor();
  assert.equal(await editor.getByText("# mine").count(), 0);
});

test("a run that waits says for whom, and is cancelled", async () => {
  await end(agent);
  await until("the agent's end", async () => (await system.api("GET", "/agents/Training agent")).status === "offline");
  const run = await system.api("POST", "/tasks/copy-orders/runs", {});
  await page.goto(`/runs/${run.id}`);
  await page.getByText("Waiting for agent").first().waitFor();
  await page.getByRole("button", { name: "Cancel" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Cancel the run" }).click();
  await page.getByRole("main").getByText("Cancelled").first().waitFor();
  await page.goto("/runs?state=cancelled");
  await row("copy-orders").getByText("Cancelled", { exact: true }).waitFor();
  await accessible("the list of runs");
});

test("an agent on an active step is not deactivated; without it, it is, and comes back", async () => {
  await page.goto("/agents");
  await row("Training agent").getByText("Offline").waitFor();
  const choose = async (item) => {
    await page.getByRole("button", { name: "More for Training agent" }).click();
    await page.getByRole("menuitem", { name: item }).click();
  };
  await choose("Deactivate");
  const toast = page.getByRole("alert").filter({ hasText: "was not deactivated" });
  await toast.getByText(/copy-orders/).waitFor();
  await system.api("PUT", "/tasks/copy-orders", `active: false\n${TASK("orders")}`, { "if-match": "*" });
  await choose("Deactivate");
  await page.getByText("Agent Training agent is deactivated").waitFor();
  await page.getByRole("button", { name: "Show inactive" }).click();
  await row("Training agent").getByText("Inactive").waitFor();
  await choose("Reactivate");
  await page.getByText("No agent is deactivated.").waitFor();
});

test("the agents are accessible, light and dark", async () => {
  await page.goto("/agents");
  await row("Training agent").waitFor();
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.locator(`[data-mantine-color-scheme=${scheme}]`).waitFor();
    await accessible(`the list of agents, ${scheme}`);
  }
});

test("a server that goes away is said, and nothing stays green", async () => {
  await page.goto("/agents");
  await row("background").getByText("Online").waitFor();
  await system.stopServer();
  await page.getByText(/^Live updates interrupted, data as of \d\d:\d\d:\d\d$/).waitFor();
  await row("background").getByText("Unknown").waitFor();
  await system.startServer();
  await row("background").getByText("Online").waitFor();
  assert.equal(await page.getByText("Live updates interrupted").count(), 0);
});

test("a login that has ended leads to the sign-in and back", async () => {
  await page.goto("/runs?state=cancelled");
  await row("copy-orders").waitFor();
  await page.evaluate(() => fetch("/api/v1/logout", { method: "POST" }));
  await page.waitForURL("**/sign-in?**");
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.locator("input[type=password]").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL("**/runs?state=cancelled");
});

test("no script failed and nothing was against the policy", () => assert.deepEqual(broken, []));
