// A company at work: agents in every state, runs of every kind. Made through the API and with real agents, for pictures
// and for tests that need something on every page.

import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EMAIL, end, PASSWORD, until } from "./system.mjs";

const LONG = "warehouse of the southern branch, second building, machine room";

/** Sets the first administrator up, as the form of the first start does. */
export async function setUp(system) {
  const token = new URL(system.setUpLink).searchParams.get("token");
  await system.api("POST", "/setup", { token, name: "Ada Lovelace", email: EMAIL, password: PASSWORD });
}

/** Logs a browser in. */
export async function signIn(page) {
  await page.goto("/sign-in");
  await page.getByLabel("E-mail").fill(EMAIL);
  await page.locator("input[type=password]").fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL((url) => !url.pathname.startsWith("/sign-in"));
}

async function download(system, name) {
  const zip = join(system.folder, `${name}.zip`);
  const response = await system.request.fetch(`https://localhost:${system.port}/api/v1/agents/${encodeURIComponent(name)}/download?policy=permissive`, {
    headers: { authorization: `Bearer ${system.token}` },
  });
  if (!response.ok()) throw new Error(`the download of ${name}: ${response.status()} ${await response.text()}`);
  writeFileSync(zip, await response.body());
  return zip;
}

const status = async (system, name) => (await system.api("GET", `/agents/${encodeURIComponent(name)}`)).status;

/** A remote agent that is online. */
export async function onlineAgent(system, name) {
  await system.api("POST", "/agents", { name });
  // What they work on must not slow down what is watched.
  const process = system.startAgent(await download(system, name), name, "nice");
  await until(`${name} online`, async () => (await status(system, name)) === "online");
  return process;
}

/** Waits until a run has ended, or is in a state. */
export function runIs(system, id, ...states) {
  return until(`run ${states.join(" or ")}`, async () => {
    const run = await system.api("GET", `/runs/${id}`);
    return (states.length > 0 ? states.includes(run.state) : run.ended) ? run : undefined;
  });
}

function orders(file) {
  const script = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute('create table orders (id integer primary key, customer text, price real)')
db.executemany('insert into orders values (?, ?, ?)', [(i, 'customer %d' % (i % 97), i * 1.5) for i in range(20000)])
db.commit()`;
  execFileSync("python3", ["-c", script, file]);
}

const copy = (name, agent, more = "") => `task: ${name}
description: Orders of the client's database into a file
${more}parameters:
  - { name: least, type: integer, default: 0, description: Only orders that cost more }
steps:
  - name: orders
    connection: client-db
    with: { table: orders }
  - name: large
    input: orders
    transform: select * from orders where price > {{ parameters.least | sql }}
  - name: file
    connector: file
    agent: ${JSON.stringify(agent)}
    input: large
    with: { path: ${name}.csv }
`;

const CRON = `triggers:
  - { name: nightly, cron: "30 2 * * *", zone: Europe/Berlin }
  - { name: shop, webhook: { signature: hmac_sha256, parameters: { least: /order/least } } }
`;

const NEXT = `task: totals
description: After each copy of the orders
triggers:
  - { name: after-orders, after: copy-orders }
steps:
  - name: customers
    connection: client-db
    with: { query: "select customer, sum(price) as total from orders group by customer" }
  - name: file
    connector: file
    agent: training-pc
    input: customers
    with: { path: totals.csv }
`;

const BROKEN = `task: import-prices
description: Reads a file that nobody delivers
steps:
  - name: prices
    connector: file
    agent: training-pc
    with: { path: not-there.csv }
    retry: { attempts: 2, backoff: 1s }
  - name: file
    connector: file
    agent: training-pc
    input: prices
    with: { path: prices.csv }
`;

const ENDLESS = `task: big-export
description: Goes on for a while
steps:
  - name: numbers
    connection: client-db
    # Each row costs some time and few bytes, so that it goes on for long and fills no disk.
    with: { query: "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000000000) select i, (with recursive m(j) as (select 1 union all select j + 1 from m where j < 150 + n.i % 2) select count(*) from m) as steps from n" }
  - name: file
    connector: file
    agent: training-pc
    input: numbers
    with: { path: numbers.csv }
`;

/** Everything; gives the ids by which pages are found. */
export async function seed(system) {
  await system.api("GET", "/me");
  execFileSync(join(system.programs, "sallyport"), ["licence", "set", "standard", "--data-dir", join(system.folder, "data")], { stdio: "ignore" });
  await onlineAgent(system, "client-server");
  await onlineAgent(system, "training-pc");
  const stopped = await onlineAgent(system, LONG);
  await end(stopped);
  await until("its end", async () => (await status(system, LONG)) === "offline");
  await system.api("POST", "/agents", { name: "plant-north", platform: "windows-x86_64" });
  await system.api("POST", "/agents", { name: "old-laptop" });
  await system.api("POST", "/agents/old-laptop/deactivate");

  const files = join(system.folder, "client-server", "data");
  mkdirSync(files);
  orders(join(files, "orders.db"));
  const connection = { name: "client-db", kind: "sqlite", agent: "client-server", settings: { path: join(files, "orders.db") } };
  await system.api("POST", "/connections", connection);
  await system.api("POST", "/connections", { ...connection, name: "archive of the southern branch, read only" });
  // Nobody listens there.
  const reporting = { host: "127.0.0.1", port: 9, database: "reporting", user: "reader" };
  await system.api("POST", "/connections", { name: "reporting", kind: "postgres", agent: "training-pc", settings: reporting, secrets: { password: "none" } });
  const tasks = {};
  for (const document of [copy("copy-orders", "training-pc", CRON), NEXT, BROKEN, ENDLESS, copy("orders-of-the-southern-branch-to-its-warehouse-every-hour", LONG)]) {
    const task = await system.api("POST", "/tasks", document);
    tasks[task.summary.name] = task.summary.id;
  }
  const hook = { name: "ops", kind: "webhook", settings: { url: "http://127.0.0.1:9/hook" }, rules: [{ events: ["failure", "recovery"] }] };
  await system.api("POST", "/notifications/channels", hook);
  const mail = { host: "mail.example.org", user: "sallyport", from: "Sallyport <sallyport@example.org>", to: ["ada@example.org", "on-call@example.org"] };
  const rules = [{ events: ["failure"], repeat: true }, { events: ["late"], tasks: ["copy-orders", "totals"] }];
  const people = await system.api("POST", "/notifications/channels", { name: "people on call", kind: "smtp", settings: mail, secrets: { password: "none" }, rules, active: false });
  const start = async (task, body = {}) => (await system.api("POST", `/tasks/${task}/runs`, body)).id;
  const runs = {};
  runs.succeeded = await start("copy-orders", { parameters: { least: 300 } });
  await runIs(system, runs.succeeded);
  runs.failed = await start("import-prices");
  await runIs(system, runs.failed);
  runs.waiting = await start("orders-of-the-southern-branch-to-its-warehouse-every-hour");
  await runIs(system, runs.waiting, "waiting_for_agent");
  runs.cancelled = await start("big-export");
  await runIs(system, runs.cancelled, "running");
  await system.api("POST", `/runs/${runs.cancelled}/cancel`, { reason: "tried out" });
  await runIs(system, runs.cancelled);
  runs.running = await start("big-export");
  await runIs(system, runs.running, "running");

  await system.api("PUT", "/tasks/copy-orders", copy("copy-orders", "training-pc", CRON).replace("Orders of", "Every order of"), { "if-match": "*" });
  await system.api("PUT", "/variables/region", { value: "south" });
  await system.api("PUT", "/variables/greeting", { value: "A long text that tasks use, with more words than fit into one line of the table, and then some more." });
  await system.api("PUT", "/limits/agent/training-pc", { limit: 4 });
  await system.api("PUT", "/limits/environment/production", { limit: 20 });
  await system.api("POST", "/tokens", { name: "nightly build", expires_in_days: 90 });
  await system.api("PUT", "/views/agents/Offline ones", { query: "status=offline" });
  const agents = {};
  for (const agent of (await system.api("GET", "/agents?limit=50")).items) agents[agent.name] = agent.id;
  const connections = {};
  for (const one of (await system.api("GET", "/connections?limit=50")).items) connections[one.name] = one.id;
  return { agents, connections, tasks, runs, channel: people.id, long: LONG };
}
