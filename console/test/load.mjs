// Sources as they are, for tests that need no browser.

import { runnerImport } from "vite";

/** A module of the console, by its path from here. */
export const load = async (file) => (await runnerImport(new URL(file, import.meta.url).pathname, { logLevel: "error" })).module;
