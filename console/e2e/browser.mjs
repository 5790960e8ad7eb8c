// What the browser tests share.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test as nodeTest } from "node:test";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** What a program can find of WCAG 2.2 AA that is not kept. */
export async function barriers(page) {
  await page.evaluate(axe);
  const found = await page.evaluate((rules) => globalThis.axe.run(document, { runOnly: rules }), RULES);
  return found.violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => `${node.target.join(" ")} (${node.any[0]?.message ?? ""})`).join("; ")}`);
}

export async function accessible(page, where) {
  assert.deepEqual(await barriers(page), [], `${where} is not accessible`);
}

/** The same in both colour schemes, of a page whose reader wants little motion. */
export async function accessibleInBoth(page, where) {
  for (const scheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.locator(`[data-mantine-color-scheme=${scheme}]`).waitFor();
    // Drawn in the new colours, all of it.
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    await accessible(page, `${where}, ${scheme},`);
  }
}

/** Collects what the policy forbids and what scripts throw; refused requests are told by the page itself. */
export function watch(page, broken = []) {
  page.on("pageerror", (error) => broken.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) broken.push(message.text());
  });
  return broken;
}

/** Everything that was asked for is there. */
export async function settled(page) {
  await page.locator("main").first().waitFor();
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true], [aria-label=Loading], .mantine-Skeleton-root"));
}

/** Tests that tell one story: none makes sense when one before it went wrong. */
export function story() {
  let stuck = null;
  return (name, chapter) =>
    nodeTest(name, async (context) => {
      if (stuck) return context.skip(`after "${stuck}"`);
      stuck = name;
      await chapter();
      stuck = null;
    });
}
