// A signed release comes to an agent because somebody asks for it in the browser.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import { accessible, story, watch } from "./browser.mjs";
import { Publisher } from "./publisher.mjs";
import { onlineAgent, setUp, signIn } from "./seed.mjs";
import { System } from "./system.mjs";

let system;
let page;
let publisher;
let broken;

before(async () => {
  system = await System.start();
  page = await (await system.browse({ reducedMotion: "reduce" })).newPage();
  broken = watch(page);
  await setUp(system);
  await signIn(page);
  await system.api("GET", "/agents");
  publisher = new Publisher(system);
  // Nobody gets a release unasked, and what works for two seconds is kept.
  publisher.run("releases", "rollout", "--percent", "0", "--confirm-seconds", "2");
  await onlineAgent(system, "till-7");
});

after(() => system?.stop());

const test = story();
const shown = () => system.api("GET", "/agents/till-7");
const versions = () => page.locator("section").filter({ has: page.getByRole("heading", { name: "Versions" }) });
const folders = () => {
  const folder = join(system.folder, "till-7/versions");
  return existsSync(folder) ? readdirSync(folder) : [];
};

test("a release that is held back is said on the agent's page, with the reason", async () => {
  publisher.release("9.1.0", 1);
  await page.goto(`/agents/${(await shown()).id}`);
  await versions().getByText(/9\.1\.0/).first().waitFor();
  await versions().getByText("As it was downloaded").first().waitFor();
  await accessible(page, "an agent whose update is held back");
  assert.deepEqual(folders(), []);
});

test("asked for in the browser it is rehearsed, switched to and kept, and every step is seen", async () => {
  const before = (await shown()).detail.process_id;
  await versions().getByRole("button", { name: "Update", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Update agent till-7?" });
  await dialog.getByText("It executes nothing now.").waitFor();
  await dialog.getByRole("button", { name: "Update" }).click();
  await versions().getByText(/9\.1\.0 was installed/).waitFor();
  await versions().getByText("9.1.0", { exact: true }).waitFor();
  await page.getByText("Online", { exact: true }).first().waitFor();
  await accessible(page, "an agent that was updated");
  const now = await shown();
  assert.notEqual(now.detail.process_id, before);
  assert.equal(now.update.active_version, "9.1.0");
  assert.match(folders().join(), /^9\.1\.0-/);
  await page.goto("/audit?action=agent");
  await page.getByRole("row").filter({ hasText: "update" }).filter({ hasText: "till-7" }).waitFor();
});

test("a release of somebody the site does not know is not installed, and the page says why", async () => {
  // As a server in foreign hands would.
  publisher.run("releases", "keygen", "stranger.key");
  publisher.run("releases", "keys", "--set", "stranger.key.pub");
  publisher.release("9.2.0", 2, "stranger.key");
  await page.goto(`/agents/${(await shown()).id}`);
  await versions().getByRole("button", { name: "Update", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Update" }).click();
  await versions().getByText(/0 of the 1 signatures that are needed are good/i).waitFor();
  await versions().getByText("9.1.0", { exact: true }).waitFor();
});

test("no script failed and nothing was against the policy", () => assert.deepEqual(broken, []));
