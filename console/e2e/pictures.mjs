// The few pictures that the documents show, made small from those of `./x screenshots`: WebP, 1000 pixels wide.
// `npm run pictures` writes them into docs/images.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { System } from "./system.mjs";

const SHOWN = {
  "console-agents": "agents-light-wide",
  "console-first-steps": "start-light-wide",
  "console-restart": "agents-restart-light-wide",
  "console-run": "run-running-light-wide",
  "console-task": "task-step-light-wide",
};
const WIDTH = 1000;
const BYTES_MAX = 60_000;

const root = resolve(import.meta.dirname, "../..");
const from = resolve(process.env.SHOTS_OUT ?? join(root, "out/screenshots"));
const to = join(root, "docs/images");
mkdirSync(to, { recursive: true });
const system = new System();
const page = await (await system.browse()).newPage();
for (const [name, picture] of Object.entries(SHOWN)) {
  const png = readFileSync(join(from, `${picture}.png`)).toString("base64");
  const small = await page.evaluate(
    async ([data, width]) => {
      const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
      const canvas = new OffscreenCanvas(width, Math.round((image.height * width) / image.width));
      const draw = canvas.getContext("2d");
      draw.imageSmoothingQuality = "high";
      draw.drawImage(image, 0, 0, canvas.width, canvas.height);
      const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.85 });
      return [...new Uint8Array(await blob.arrayBuffer())];
    },
    [png, WIDTH],
  );
  if (small.length > BYTES_MAX) throw new Error(`${name} has ${small.length} bytes, more than ${BYTES_MAX}`);
  writeFileSync(join(to, `${name}.webp`), Buffer.from(small));
  console.log(`${name}.webp: ${small.length} bytes`);
}
await system.browser.close();
