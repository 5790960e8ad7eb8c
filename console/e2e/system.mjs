// A real server and real agents in a temporary folder, and a browser to look at them.

import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const programs = resolve(process.env.SALLYPORT_BIN ?? join(import.meta.dirname, "../../target/debug"));
export const PASSWORD = "correct horse battery";
export const EMAIL = "ada@example.com";

/** No wait is longer, in milliseconds. */
export const DEADLINE = Number(process.env.CONSOLE_DEADLINE ?? 60_000);

/** A port of the loopback that nobody listens on. */
export function freePort() {
  return new Promise((found, failed) => {
    const probe = createServer().on("error", failed);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => found(port));
    });
  });
}

/** Waits for a state, not for a time. */
export async function until(what, holds) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what} did not come true within ${DEADLINE / 1000} s`);
    await new Promise((next) => setTimeout(next, 100));
  }
}

export class System {
  #processes = [];

  static async start() {
    const system = new System();
    system.folder = mkdtempSync(join(tmpdir(), "sallyport-console-"));
    system.programs = programs;
    system.port = await freePort();
    system.url = `https://localhost:${system.port}`;
    system.startServer();
    if (process.env.CONSOLE_PREVIEW) await system.#preview();
    system.setUpLink = await until("the server's set-up link", () => /https:\S+\/setup\?token=\S+/.exec(system.log("server"))?.[0]);
    return system;
  }

  /** The console as it was built last, in front of the server: no Rust has to be built for it. */
  async #preview() {
    const port = await freePort();
    const vite = join(import.meta.dirname, "../node_modules/.bin/vite");
    this.#spawn("preview", vite, ["preview", "--port", String(port), "--strictPort"], join(import.meta.dirname, ".."), { SALLYPORT_SERVER: this.url });
    await until("the preview", () => this.log("preview").includes(`:${port}`));
    this.url = `http://localhost:${port}`;
  }

  startServer() {
    this.server = this.#spawn("server", join(programs, "sallyport"), ["server", "--data-dir", join(this.folder, "data"), "--listen", `127.0.0.1:${this.port}`]);
    return until("the server", () => this.log("server").includes("server started"));
  }

  log(name) {
    return readFileSync(join(this.folder, `${name}.log`), "utf8");
  }

  /** Unpacks a downloaded agent and starts it as its read-me says. */
  startAgent(zip, name, ...before) {
    const folder = join(this.folder, name);
    mkdirSync(folder);
    execFileSync("unzip", ["-q", zip, "-d", folder]);
    const [program, ...words] = [...before, "sh", "start.sh"];
    return this.#spawn(name, program, words, folder);
  }

  /** A request as a program makes it, with the first administrator's login. */
  async api(method, path, body, headers = {}) {
    if (!this.token && !["/login", "/setup"].includes(path)) {
      this.token = (await this.api("POST", "/login", { email: EMAIL, password: PASSWORD })).token;
    }
    const text = typeof body === "string";
    const response = await this.request.fetch(`https://localhost:${this.port}/api/v1${path}`, {
      method,
      headers: { ...(this.token ? { authorization: `Bearer ${this.token}` } : {}), "content-type": text ? "application/yaml" : "application/json", ...headers },
      ...(body === undefined ? {} : { data: text ? body : JSON.stringify(body) }),
    });
    if (!response.ok()) throw new Error(`${method} ${path}: ${response.status()} ${await response.text()}`);
    return response.status() === 204 ? undefined : response.json();
  }

  /** A browser with nothing in it. */
  async browse(options = {}) {
    this.browser ??= await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true, baseURL: this.url, acceptDownloads: true, ...options });
    context.setDefaultTimeout(DEADLINE);
    this.request ??= context.request;
    return context;
  }

  async stop() {
    await this.browser?.close();
    for (const child of this.#processes) await end(child);
    if (!process.env.KEEP) rmSync(this.folder, { recursive: true, force: true });
  }

  stopServer() {
    return end(this.server);
  }

  #spawn(name, program, args, cwd = this.folder, env = {}) {
    const log = openSync(join(this.folder, `${name}.log`), "a");
    // Its own group, so that a script's children end with it.
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", log, log], detached: true });
    this.#processes.unshift(child);
    process.once("exit", () => tell(child, "SIGKILL"));
    return child;
  }
}

/** Asks a process and its children to end, and insists after five seconds. */
export async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((over) => child.once("exit", over));
  tell(child, "SIGTERM");
  const insist = setTimeout(() => tell(child, "SIGKILL"), 5000);
  await gone;
  clearTimeout(insist);
  tell(child, "SIGKILL");
}

/** Signals a process and its children. */
function tell(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended.
  }
}

// What was started ends with the tests, also when they are stopped.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
