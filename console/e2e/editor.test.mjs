// Connections by form, and a task made with the mouse: picture, form and text show one document.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { accessibleInBoth, story, watch } from "./browser.mjs";
import { onlineAgent, setUp, signIn } from "./seed.mjs";
import { EMAIL, PASSWORD, System, until } from "./system.mjs";

let system;
let page;
const broken = [];

/** A person's own browser. */
async function person() {
  const context = await system.browse({ viewport: { width: 1440, height: 1000 }, reducedMotion: "reduce" });
  const made = await context.newPage();
  watch(made, broken);
  return made;
}

before(async () => {
  system = await System.start();
  page = await person();
  await setUp(system);
  await signIn(page);
  await onlineAgent(system, "client-pc");
  const files = join(system.folder, "client-pc", "files");
  mkdirSync(files, { recursive: true });
  const make = "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1])\ndb.execute('create table orders (id integer, price real)')\ndb.executemany('insert into orders values (?, ?)', [(i, i * 1.5) for i in range(1000)])\ndb.commit()";
  execFileSync("python3", ["-c", make, join(files, "orders.db")]);
});

after(() => system?.stop());

const test = story();

const accessible = (where) => accessibleInBoth(page, where);

const choose = async (field, option) => {
  await page.getByRole("textbox", { name: field }).or(page.getByRole("combobox", { name: field })).first().click();
  await page.getByRole("option", { name: option }).click();
};
const graph = () => page.getByRole("group", { name: "Steps of the task" });
const node = (name) => graph().locator(".react-flow__node").filter({ hasText: name });
const yaml = () => page.getByRole("textbox", { name: "Task document" });
const text = async () => (await yaml().locator(".cm-line").allTextContents()).join("\n");
const write = async (document) => {
  await yaml().click();
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(document);
};

test("a connection is made by a form: what is wrong stands at its field, then every stage passes", async () => {
  await page.goto("/connections");
  await page.getByRole("link", { name: "Add", exact: true }).click();
  await page.getByRole("radio", { name: "SQLite" }).click();
  const form = page.getByRole("form", { name: "Connection" });
  await form.getByLabel("Name").fill("orders-db");
  await choose("Agent", /^background/);
  await form.getByLabel("Path").fill("/etc/orders.db");
  await form.getByRole("button", { name: "Add and test" }).click();
  await form.getByText("must be relative").first().waitFor();
  const field = form.getByLabel("Path");
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  await accessible("the connection's form with an error");
  await choose("Agent", /^background/);
  await choose("Agent", "client-pc");
  await field.fill("orders.db");
  await form.getByRole("button", { name: "Add and test" }).click();
  await page.waitForURL("**/connections/conn_*");
  const trial = page.getByRole("region", { name: "Test" });
  await trial.getByText("Every stage passed").waitFor();
  await page.getByText("No task uses it yet.").waitFor();
  await accessible("the connection's page");
});

test("a secret goes in and never comes back", async () => {
  await page.goto("/new-connection");
  await page.getByRole("radio", { name: "PostgreSQL" }).click();
  const form = page.getByRole("form", { name: "Connection" });
  await form.getByLabel("Name").fill("warehouse");
  await choose("Agent", "client-pc");
  await form.getByLabel("Host").fill("127.0.0.1");
  await form.getByLabel("Database").fill("sales");
  await form.getByLabel("User").fill("ada");
  await form.getByLabel("Port").fill("1");
  await form.getByRole("textbox", { name: "Password" }).fill("not-to-be-seen");
  const answered = page.waitForResponse((response) => response.url().endsWith("/connections") && response.request().method() === "POST");
  await form.getByRole("button", { name: "Add", exact: true }).click();
  assert.ok(!(await (await answered).text()).includes("not-to-be-seen"));
  await page.waitForURL("**/connections/conn_*");
  await form.getByText("Set", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Test", exact: true }).click();
  await page.getByRole("region", { name: "Test" }).getByText("Failed at port").waitFor();
  await form.getByRole("button", { name: "Replace password" }).click();
  await form.getByRole("textbox", { name: "Password" }).fill("another");
  await form.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Connection warehouse is saved").waitFor();
  await form.getByRole("button", { name: "Replace password" }).waitFor();
});

test("a task of two agents is built with the mouse, and runs", async () => {
  await page.goto("/new-task");
  await page.getByLabel("Name").fill("nightly-orders");
  // The writer first, so that the two are joined by hand.
  await page.getByRole("button", { name: "Add write Files" }).dragTo(graph(), { targetPosition: { x: 420, y: 120 } });
  await node("write").waitFor();
  const step = page.getByRole("region", { name: "Step write" });
  await step.getByLabel("Path").fill("orders.csv");
  await choose("Agent", /^background/);
  await page.getByRole("button", { name: "Add read SQLite" }).dragTo(graph(), { targetPosition: { x: 120, y: 120 } });
  await node("read").getByText("Reads from orders-db").waitFor();
  await page.getByRole("region", { name: "Step read" }).getByLabel("Table").fill("orders");
  await node("read").locator(".source[data-handleid=rows]").dragTo(node("write").locator(".target[data-handleid=rows]"));
  await graph().getByRole("group", { name: "Rows from read to write" }).or(graph().getByLabel("Rows from read to write")).first().waitFor();
  await page.getByText("The document is right.").waitFor();
  assert.match(await text(), /- name: write\n {4}connector: file\n {4}input: read\n/);
  await accessible("the task's editor");
  await page.getByRole("button", { name: "Add the task" }).click();
  await page.waitForURL("**/tasks/task_*");
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Start", exact: true }).click();
  await page.waitForURL("**/runs/run_*");
  await page.getByRole("main").getByText("Succeeded").first().waitFor();
  const runs = await system.api("GET", "/runs");
  const run = await system.api("GET", `/runs/${runs.items[0].id}`);
  assert.deepEqual(run.steps.map((one) => [one.agent, one.rows_out]), [["background", 1000], ["client-pc", 1000]]);
});

const TASK = `task: nightly-orders   # the one of the night
steps:
  - name: orders             # all of them
    connection: orders-db
    with: { table: orders }

  - name: file
    connector: file
    agent: background
    input: orders
    with: { path: orders.csv }
`;

test("picture, form and text stay in step, and comments stay", async () => {
  await page.goto("/tasks");
  await page.getByRole("link", { name: "nightly-orders", exact: true }).click();
  await node("read").waitFor();
  await write(TASK);
  await node("orders").waitFor();
  assert.equal(await graph().locator(".react-flow__node").count(), 2);
  // From the form to the others.
  await node("orders").click();
  await page.waitForURL("**step=orders**");
  const name = page.getByRole("region", { name: "Step orders" }).getByLabel("Name");
  await name.fill("all-orders");
  await name.press("Enter");
  await node("all-orders").waitFor();
  const renamed = await text();
  assert.ok(renamed.includes("  - name: all-orders # all of them\n"), renamed);
  assert.ok(renamed.includes("    input: all-orders\n"), renamed);
  assert.ok(renamed.startsWith("task: nightly-orders   # the one of the night\n"), renamed);
  // A step in between, by keyboard, then out of the picture again.
  await page.getByRole("button", { name: "Add SQL transform" }).focus();
  await page.keyboard.press("Enter");
  await node("transform").waitFor();
  assert.ok((await text()).includes('transform: select * from "all-orders"'));
  await node("transform").focus();
  await page.keyboard.press("Delete");
  await until("the step's end", async () => !(await text()).includes("transform"));
  assert.equal(await text(), renamed);
  await page.getByRole("button", { name: "Undo" }).click();
  await node("transform").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await until("what was undone", async () => (await text()) === renamed);
});

test("what is wrong stands at the field, at the step and in the text", async () => {
  await node("all-orders").click();
  const step = page.getByRole("region", { name: "Step all-orders" });
  await step.getByLabel("Table").fill("");
  await step.getByLabel("Where").or(step.getByRole("button", { name: /^More settings/ }).first()).first().waitFor();
  await node("file").click();
  const file = page.getByRole("region", { name: "Step file" });
  await file.getByLabel("Path").fill("");
  await file.getByText("is missing").waitFor();
  assert.equal(await file.getByLabel("Path").getAttribute("aria-invalid"), "true");
  await node("file").getByRole("img", { name: /problem/ }).waitFor();
  await page.locator(".cm-wrong").first().waitFor();
  await accessible("the editor with problems");
  // The list of problems leads to the step.
  await page.getByRole("button", { name: "Back to the task" }).click();
  await page.getByRole("button", { name: "/steps/1/with" }).click();
  await file.getByLabel("Path").fill("orders.csv");
  await node("all-orders").click();
  await step.getByLabel("Table").fill("orders");
  await page.getByText("The document is right.").waitFor();
});

test("a step shows its first rows with their types, also when it is not saved", async () => {
  await node("all-orders").click();
  const step = page.getByRole("region", { name: "Step all-orders" });
  await step.getByRole("textbox", { name: "Query" }).fill("select id, price, case when id = 1 then 'x' end as note from orders where id > 0");
  await step.getByLabel("Table").fill("");
  await page.getByText("The document is right.").waitFor();
  await step.getByRole("button", { name: "Show the first rows" }).click();
  const dialog = page.getByRole("dialog", { name: "First rows of all-orders" });
  await dialog.getByText("The first 100 rows, seen by agent client-pc. Nothing was written.").waitFor();
  assert.deepEqual(await dialog.getByRole("columnheader").allTextContents(), ["idbigint", "pricedouble", "notetext"]);
  assert.equal(await dialog.getByRole("row").count(), 101);
  assert.deepEqual(await dialog.getByRole("row").nth(2).getByRole("cell").allTextContents(), ["2", "3.0", "no value"]);
  await accessible("the first rows");
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await step.getByRole("textbox", { name: "Query" }).fill("select * from nowhere");
  await step.getByRole("button", { name: "Show the first rows" }).click();
  await dialog.getByRole("alert").getByText("nowhere").waitFor();
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await step.getByRole("textbox", { name: "Query" }).fill("");
  await step.getByLabel("Table").fill("orders");
  await page.getByText("The document is right.").waitFor();
});

test("a trigger shows its next five times", async () => {
  await page.getByRole("button", { name: "Back to the task" }).click();
  await page.getByRole("tab", { name: "Triggers (0)" }).click();
  await page.getByRole("button", { name: "Add a trigger" }).click();
  await page.getByRole("textbox", { name: "Cron" }).fill("30 5 * * *");
  const times = page.getByRole("list", { name: "Next times" });
  await until("five times", async () => (await times.getByText(/05:30:00/).count()) === 5);
  assert.ok((await text()).includes("cron: 30 5 * * *"));
  await accessible("the triggers");
  await page.getByRole("tab", { name: "Parameters (0)" }).click();
  await page.getByRole("button", { name: "Add a parameter" }).click();
  await choose("Type", "integer");
  await page.getByText("The document is right.").waitFor();
  assert.match(await text(), /type: integer/);
});

test("what is not saved is not lost by a wrong click", async () => {
  const asked = new Promise((said) => page.once("dialog", (dialog) => void dialog.dismiss().then(() => said(dialog.message()))));
  await page.getByRole("link", { name: "Agents", exact: true }).click();
  assert.match(await asked, /without saving/);
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByText("Saved as version 2").waitFor();
});

test("of two people who edit one task the second is told, sees what differs, and decides", async () => {
  const other = await person();
  await signIn(other);
  await other.goto(page.url());
  await other.getByText("The document is right.").waitFor();
  const add = async (one, line) => {
    await one.getByRole("textbox", { name: "Task document" }).click();
    await one.keyboard.press("Control+End");
    await one.keyboard.insertText(line);
    await one.getByRole("button", { name: "Save as a new version" }).click();
  };
  await add(other, "# theirs\n");
  await other.getByText("Saved as version 3").waitFor();
  await add(page, "# mine\n");
  const told = page.getByRole("alert").filter({ hasText: "Somebody else has saved this task meanwhile" });
  await told.getByRole("button", { name: "See what differs" }).click();
  const differs = told.getByRole("region", { name: "From theirs to yours" });
  await differs.locator(".diff-gone").getByText("# theirs").waitFor();
  await differs.locator(".diff-new").getByText("# mine").waitFor();
  await accessible("the conflict");
  await told.getByRole("button", { name: "Save mine over it" }).click();
  await page.getByText("Saved as version 4").waitFor();
  await other.context().close();
});

test("a login that ends while somebody writes costs nothing of it", async () => {
  await page.getByRole("textbox", { name: "Task document" }).click();
  await page.keyboard.press("Control+End");
  await page.keyboard.insertText("# not saved yet\n");
  await page.evaluate(() => fetch("/api/v1/logout", { method: "POST" }));
  const again = page.getByRole("dialog", { name: "Your login has ended" });
  await again.waitFor();
  await accessible("the sign-in over a page");
  assert.equal(await again.getByLabel("E-mail").inputValue(), EMAIL);
  await again.locator("input[type=password]").fill(PASSWORD);
  await again.getByRole("button", { name: "Sign in" }).click();
  await again.waitFor({ state: "detached" });
  // It was this one's too.
  system.token = undefined;
  assert.match(await text(), /# not saved yet/);
  await page.getByRole("button", { name: "Save as a new version" }).click();
  await page.getByText("Saved as version 5").waitFor();
});

test("versions are compared, and an old one is restored", async () => {
  await page.getByRole("link", { name: "Versions" }).click();
  const differences = page.getByRole("region", { name: "Differences" });
  await differences.getByText("From version 4 to 5").waitFor();
  await differences.locator(".diff-new").getByText("# not saved yet").waitFor();
  await page.getByRole("radio", { name: "From version 1" }).click();
  await page.waitForURL("**from=1**");
  await differences.locator(".diff-gone").getByText("- name: write").waitFor();
  await accessible("the versions");
  await page.getByRole("button", { name: "Restore version 3" }).click();
  const dialog = page.getByRole("dialog", { name: "Restore version 3?" });
  await dialog.locator(".diff-new").getByText("# theirs").waitFor();
  await dialog.getByRole("button", { name: "Restore" }).click();
  await page.getByText("Version 3 is restored as version 6").waitFor();
  const task = await system.api("GET", "/tasks/nightly-orders");
  assert.ok(task.document.endsWith("# theirs\n"));
});

test("a connection in use says by whom, and is not removed; another one is", async () => {
  await page.goto("/connections");
  await page.getByRole("link", { name: "orders-db" }).click();
  await page.getByRole("region", { name: "Used by" }).getByText("nightly-orders").waitFor();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Remove connection orders-db?" });
  await dialog.getByText("nightly-orders").waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Remove" }).isDisabled());
  await page.goto("/connections");
  await page.getByRole("link", { name: "warehouse" }).click();
  await page.getByRole("button", { name: "Remove", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await page.getByText("Connection warehouse is removed").waitFor();
  await page.waitForURL("**/connections");
  await page.getByRole("link", { name: "orders-db" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "warehouse" }).count(), 0);
  await accessible("the list of connections");
});

test("no script failed and nothing was against the policy", () => assert.deepEqual(broken, []));
