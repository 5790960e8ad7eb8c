// Pictures of every page, light and dark, wide and narrow, of a seeded server with real agents and runs.
// `SHOTS_OUT` names the folder, `SHOTS_ONLY` a part of the names that are wanted.

import { mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { pages } from "./pages.mjs";
import { seed, setUp, signIn } from "./seed.mjs";
import { System } from "./system.mjs";

const out = resolve(process.env.SHOTS_OUT ?? join(import.meta.dirname, "../../out/screenshots"));
const only = process.env.SHOTS_ONLY ?? "";
const SIZES = { wide: { width: 1440, height: 900 }, narrow: { width: 390, height: 844 } };

async function settled(page) {
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true], [aria-label=Loading]"));
  await page.waitForTimeout(150);
}

const system = await System.start();
try {
  await system.browse();
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    const context = await system.browse({ viewport: SIZES.wide, colorScheme });
    const page = await context.newPage();
    await page.goto(new URL(system.setUpLink).pathname + new URL(system.setUpLink).search);
    await page.screenshot({ path: join(out, `set-up-${colorScheme}-wide.png`) });
    await context.close();
  }
  await setUp(system);
  const seeded = await seed(system);
  let taken = 0;
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of Object.entries(SIZES)) {
      const context = await system.browse({ viewport, colorScheme, reducedMotion: "reduce" });
      const page = await context.newPage();
      const shoot = async (name) => {
        await settled(page);
        // The whole of it, with what stands at the bottom of the window at the bottom of the picture.
        const whole = await page.evaluate(() => document.documentElement.scrollHeight);
        if (size === "narrow") await page.setViewportSize({ ...viewport, height: Math.max(viewport.height, whole) });
        await page.screenshot({ path: join(out, `${name}-${colorScheme}-${size}.png`) });
        await page.setViewportSize(viewport);
        taken += 1;
      };
      if ("sign-in".includes(only)) {
        await page.goto("/sign-in");
        await shoot("sign-in");
      }
      await signIn(page);
      for (const [name, address, before, after] of pages(seeded)) {
        if (!name.includes(only)) continue;
        await page.goto(address);
        await page.locator("main").first().waitFor();
        await settled(page);
        await before?.(page).catch(async (error) => {
          await page.screenshot({ path: join(out, `${name}-FAILED.png`) });
          throw error;
        });
        await shoot(name);
        await after?.(page);
      }
      await context.close();
    }
  }
  console.log(`${taken} pictures in ${out}`);
} finally {
  await system.stop();
}
process.exit(0);
