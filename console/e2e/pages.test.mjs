// Every page at work: accessible in both colour schemes, by keyboard, on a narrow screen, and under load.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test as nodeTest } from "node:test";
import { accessible, barriers, settled, watch } from "./browser.mjs";
import { pages, pick } from "./pages.mjs";
import { seed, setUp, signIn } from "./seed.mjs";
import { end, System, until } from "./system.mjs";

let system;
let context;
let page;
let seeded;
let broken;

before(async () => {
  system = await System.start();
  context = await system.browse({ reducedMotion: "reduce", permissions: ["clipboard-read", "clipboard-write"] });
  page = await context.newPage();
  broken = watch(page);
  await setUp(system);
  await signIn(page);
});

after(() => system?.stop());

/** Makes no sense before the company is at work. */
function test(name, chapter) {
  nodeTest(name, (testing) => (seeded ? chapter(testing) : testing.skip("nothing was seeded")));
}

nodeTest("the first steps lead from nothing to an agent that is online and a task", async () => {
  await page.goto("/start");
  await page.getByText("Trial").first().waitFor();
  await page.getByLabel("Name").fill("first");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("Waiting until it is online...").waitFor();
  await accessible(page, "the first steps");
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  await page.getByRole("menuitem", { name: "Restricted" }).click();
  const download = await saved;
  const zip = join(system.folder, "first.zip");
  await download.saveAs(zip);
  const agent = system.startAgent(zip, "first");
  await page.getByText(/^It is online on /).waitFor();
  await page.getByRole("button", { name: "Make this task" }).click();
  await page.waitForURL("**/tasks/task_*");
  await page.getByRole("heading", { name: "first-task" }).waitFor();
  // The licence of the others has room for three.
  await end(agent);
  await until("its end", async () => (await system.api("GET", "/agents/first")).status === "offline");
  seeded = await seed(system);
});

for (const scheme of ["light", "dark"]) {
  test(`every page is accessible, ${scheme}`, async () => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const found = [];
    for (const [name, address, act, undo] of pages(seeded)) {
      await page.goto(address);
      await settled(page);
      await act?.(page);
      for (const barrier of await barriers(page)) found.push(`${name}: ${barrier}`);
      await undo?.(page);
    }
    assert.deepEqual(found, []);
  });
}

test("no page is wider than a telephone", async () => {
  const narrow = await (await system.browse({ viewport: { width: 390, height: 844 }, storageState: await context.storageState() })).newPage();
  const wide = [];
  for (const [name, address] of pages(seeded)) {
    await narrow.goto(address);
    await settled(narrow);
    // Nor is a list, in which nothing is to be looked for beyond the edge.
    const widths = await narrow.evaluate(() => [document.documentElement, ...document.querySelectorAll(".cards [data-scrollarea-viewport]")].map((box) => box.scrollWidth));
    if (widths.some((width) => width > 390)) wide.push(`${name}: ${widths.join(", ")} px`);
  }
  assert.deepEqual(wide, []);
  await narrow.context().close();
});

test("the search goes everywhere by keyboard alone", async () => {
  await page.goto("/agents");
  await settled(page);
  const open = async (text, option) => {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Search" }).waitFor();
    await page.keyboard.type(text);
    await page.getByRole("option", { name: option }).first().waitFor();
  };
  await open("audit", /Audit/);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/audit");
  await open("training", /training-pc/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "training-pc" }).waitFor();
  await open("import-prices", /Run/);
  const chosen = page.locator("[role=option][aria-selected=true]");
  while (!/Run/.test(await chosen.textContent())) await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/runs/run_*");
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox", { name: "Search" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("combobox", { name: "Search" }).waitFor({ state: "detached" });
});

test("a view is saved under a name, found again, and forgotten", async () => {
  await page.goto("/runs?state=failed&search=prices");
  await settled(page);
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("button", { name: "Save this view..." }).click();
  const dialog = page.getByRole("dialog", { name: "Save this view" });
  await dialog.getByLabel("Name").fill("Failed imports");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Failed imports", exact: true }).waitFor();
  await page.goto("/runs");
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("button", { name: "Failed imports", exact: true }).click();
  await page.waitForURL("**/runs?state=failed&search=prices");
  await page.getByRole("button", { name: "Failed imports", exact: true }).click();
  await page.getByRole("button", { name: "Forget view Failed imports" }).click();
  await page.getByRole("button", { name: "Views" }).waitFor();
});

test("a run says for whom it waits, shows its rates, and repeats what failed", async () => {
  await page.goto(`/runs/${seeded.runs.waiting}`);
  const waits = page.getByRole("alert").filter({ hasText: "Waiting for agent" });
  await waits.getByText(/offline since/).waitFor();
  await waits.getByRole("link", { name: seeded.long }).click();
  await page.getByRole("heading", { name: seeded.long }).waitFor();
  await page.goto(`/runs/${seeded.runs.running}?view=graph`);
  await page.getByText(/^[1-9][\d,]*\/s$/).first().waitFor();
  await page.goto(`/runs/${seeded.runs.failed}`);
  await page.getByText(/not-there\.csv/).first().waitFor();
  await page.getByRole("img", { name: /Attempt 1: Failed/ }).first().waitFor();
  await page.getByRole("button", { name: "Repeat from what failed" }).click();
  await page.waitForURL((url) => url.pathname.startsWith("/runs/run_") && !url.pathname.endsWith(seeded.runs.failed));
  await page.getByRole("link", { name: seeded.runs.failed }).waitFor();
});

test("several agents are restarted at once, and what it cancels is listed first", async () => {
  await page.goto("/agents");
  await settled(page);
  await pick("client-server", "training-pc")(page);
  const bar = page.getByRole("region", { name: "Picked agents" });
  await bar.getByText("2 picked").waitFor();
  assert.ok(await bar.getByRole("button", { name: /Deactivate/ }).isDisabled());
  await bar.getByRole("button", { name: /Restart/ }).click();
  const dialog = page.getByRole("dialog", { name: "Restart 2 agents?" });
  await dialog.getByText(/Cancels big-export: numbers/).waitFor();
  await dialog.getByText(/Cancels big-export: file/).waitFor();
  await dialog.getByRole("button", { name: "Restart 2 agents" }).click();
  await dialog.waitFor({ state: "detached" });
  const run = await until("the run's end", async () => {
    const now = await system.api("GET", `/runs/${seeded.runs.running}`);
    return now.ended ? now : undefined;
  });
  assert.equal(run.state, "cancelled");
  await page.goto("/audit?action=agent");
  await page.getByRole("row").filter({ hasText: "restart" }).filter({ hasText: "client-server" }).waitFor();
});

test("an update says what it cancels, and each agent's refusal stands at its name", async () => {
  await page.goto("/agents");
  await settled(page);
  await pick("client-server", "training-pc")(page);
  await page.getByRole("region", { name: "Picked agents" }).getByRole("button", { name: /Update/ }).click();
  const dialog = page.getByRole("dialog", { name: "Update 2 agents?" });
  await dialog.getByText("It executes nothing now.").first().waitFor();
  await dialog.getByRole("button", { name: "Update 2 agents" }).click();
  await until("both refusals", async () => (await dialog.getByText(/there is no release for this platform/).count()) === 2);
  await accessible(page, "agents that were not updated");
  await dialog.getByRole("button", { name: "Close" }).last().click();
  await page.goto(`/agents/${seeded.agents["client-server"]}`);
  await page.getByText("There is no release for this platform").first().waitFor();
  await page.getByRole("button", { name: "Update", exact: true }).click();
  await page.getByRole("dialog", { name: "Update agent client-server?" }).getByText(/Once it has rehearsed/).waitFor();
});

test("the doctor examines an installation, and a bundle is fetched", async () => {
  await page.goto(`/agents/${seeded.agents["training-pc"]}?tab=doctor`);
  await page.getByRole("button", { name: "Examine", exact: true }).click();
  const findings = page.getByRole("list", { name: "Findings" });
  await findings.getByText("Disk", { exact: true }).waitFor();
  assert.ok((await findings.getByRole("listitem").count()) > 10);
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Support bundle" }).click();
  assert.equal((await saved).suggestedFilename(), "training-pc.bundle.zip");
  await page.getByRole("tab", { name: "Crash reports" }).click();
  await page.waitForURL("**tab=crashes");
  await page.getByText("Neither agent nor wrapper has crashed.").waitFor();
  // Without its wrapper nobody can look.
  await page.goto(`/agents/${seeded.agents[seeded.long]}?tab=doctor`);
  await page.getByText("Its wrapper is not connected.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Examine", exact: true }).isDisabled());
});

test("a page that is open goes on after a restart of the server", async () => {
  const agent = seeded.agents["training-pc"];
  await page.goto(`/agents/${agent}/log`);
  const log = page.getByRole("log", { name: "Agent log" });
  const online = log.locator(".log-line").filter({ hasText: "online from machine" });
  await online.first().waitFor();
  // Only lines in sight are drawn, so that their places say more than their number.
  const newest = () => online.evaluateAll((lines) => Math.max(-1, ...lines.map((line) => Number(line.dataset.index))));
  const before = await newest();
  await system.stopServer();
  await page.getByText(/^Live updates interrupted, data as of/).waitFor();
  await system.startServer();
  await page.getByText(/^Live updates interrupted/).waitFor({ state: "detached" });
  // Written after the restart, seen without anybody asking for it.
  await until("a line of the new server", async () => (await newest()) > before);
  await page.getByText("Live lines interrupted").waitFor({ state: "detached" });
});

test("lines of a log are marked by keyboard", async () => {
  await page.goto(`/agents/${seeded.agents["training-pc"]}/log`);
  const log = page.getByRole("log", { name: "Agent log" });
  await log.locator(".log-line").first().waitFor();
  await log.focus();
  await page.keyboard.press("ArrowUp");
  const marked = log.locator("[data-marked]");
  const last = Number(await marked.getAttribute("data-index"));
  await page.keyboard.press("ArrowUp");
  assert.equal(Number(await marked.getAttribute("data-index")), last - 1);
  await page.keyboard.press("ArrowDown");
  assert.equal(Number(await marked.getAttribute("data-index")), last);
  assert.ok(await page.getByRole("button", { name: "Copy a link to the marked line" }).isEnabled());
});

const database = () => join(system.folder, "data", "sallyport.db");
const write = (...words) => spawn("python3", [join(import.meta.dirname, "write.py"), words[0], database(), ...words.slice(1).map(String)], { stdio: "inherit" });

test("a log takes 5,000 lines a second while the page stays usable", async (testing) => {
  const agent = seeded.agents["plant-north"];
  await page.goto(`/agents/${agent}/log`);
  const log = page.getByRole("log", { name: "Agent log" });
  await log.waitFor();
  await settled(page);
  await page.evaluate(() => {
    globalThis.frames = [];
    const note = (at) => {
      globalThis.frames.push(at);
      requestAnimationFrame(note);
    };
    requestAnimationFrame(note);
  });
  const count = 60_000;
  const began = Date.now();
  const writer = write("lines", agent, count, 5000);
  await new Promise((ended) => writer.once("exit", ended));
  const wrote = (Date.now() - began) / 1000;
  await log.getByText(`line ${count - 1} of many`).waitFor();
  const behind = (Date.now() - began) / 1000 - wrote;
  const frames = await page.evaluate(() => globalThis.frames);
  const gaps = frames.slice(1).map((at, index) => at - frames[index]).sort((one, other) => one - other);
  const at = (share) => gaps[Math.floor((gaps.length - 1) * share)].toFixed(0);
  testing.diagnostic(`${Math.round(count / wrote)} lines/s written; shown ${behind.toFixed(1)} s after the last; frames: ${at(0.5)} ms median, ${at(0.95)} ms at 95 %, ${at(1)} ms longest`);
  // However slow the machine, it never stands still for long, and holds no more than it may.
  assert.ok(Number(at(0.95)) < 500, `a frame took ${at(0.95)} ms`);
  const drawn = await log.locator(".log-line").count();
  assert.ok(drawn < 150, `${drawn} lines are drawn`);
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: /^Paused/ }).waitFor();
});

test("errors are found on the server, a line has an address, and the whole log is downloaded", async () => {
  const agent = seeded.agents["plant-north"];
  await page.goto(`/agents/${agent}/log?search=line%209%20of`);
  const log = page.getByRole("log", { name: "Agent log" });
  await log.getByText("line 9 of many").waitFor();
  await page.goto(`/agents/${agent}/log`);
  await log.getByText("line 59999 of many").waitFor();
  const marked = log.locator("[data-marked]");
  await page.getByRole("button", { name: "Jump to the next error" }).click();
  await marked.getByText("line 59999 of many").waitFor();
  await page.getByRole("button", { name: "Copy a link to the marked line" }).click();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const [line] = (await system.api("GET", `/agents/${agent}/log?search=line%2030000%20of&limit=1`)).items;
  await page.goto(link.replace(/line=\d+$/, `line=${line.seq}`));
  await marked.getByText("line 30000 of many").waitFor();
  // The next ones lie behind what is loaded.
  await page.getByRole("button", { name: "Jump to the next error" }).click();
  await marked.getByText("line 30999 of many").waitFor();
  await page.getByRole("button", { name: "Jump to live" }).click();
  await log.getByText("line 59999 of many").waitFor();
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download the whole log" }).click();
  const download = await saved;
  assert.equal(download.suggestedFilename(), "plant-north.log");
  const text = readFileSync(await download.path(), "utf8");
  assert.equal(text.match(/line \d+ of many/g).length, 60_000);
});

test("ten thousand agents are a list like any other", async (testing) => {
  await new Promise((ended) => write("agents", 10_000).once("exit", ended));
  const times = [];
  for (const query of ["sort=name", "sort=-created_at", "search=branch%2009&sort=status", "status=offline&sort=machine_name"]) {
    const began = performance.now();
    const answer = await system.api("GET", `/agents?limit=100&active=true&${query}`);
    times.push(performance.now() - began);
    assert.equal(answer.items.length, 100);
  }
  testing.diagnostic(`answers of the list in ${times.map((time) => time.toFixed(0)).join(", ")} ms`);
  await page.goto("/agents");
  await page.getByText("1 to 100 of 10,000 or more").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("101 to 200 of 10,000 or more").waitFor();
  await page.getByRole("row").filter({ hasText: "branch 00150" }).waitFor();
  const field = page.getByRole("textbox", { name: "Search by name" });
  await field.fill("branch 09999");
  await page.getByText("1 in all").waitFor();
  assert.equal(await page.getByRole("row").count(), 2);
});

test("no script failed and nothing was against the policy", () => assert.deepEqual(broken, []));
