// A publisher of signed releases, who works with the `sallyport` command as a person does.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export class Publisher {
  #folder;
  #system;

  /** Makes a key, and has the server hand it out with downloads from now on. */
  constructor(system) {
    this.#system = system;
    this.#folder = join(system.folder, "publisher");
    mkdirSync(this.#folder);
    writeFileSync(join(this.#folder, "token"), system.token, { mode: 0o600 });
    this.run("releases", "keygen", "publisher.key");
    this.run("releases", "keys", "--set", "publisher.key.pub");
  }

  /** Signs and publishes a version of the agent: the one that was built, under another number. */
  release(version, sequence, key = "publisher.key") {
    const program = join(this.#folder, "sallyport-agent");
    const real = join(this.#system.programs, "sallyport-agent");
    writeFileSync(program, `#!/bin/sh\n[ "$*" = --version ] && echo sallyport-agent ${version} && exit 0\nexec '${real}' "$@"\n`);
    chmodSync(program, 0o755);
    const archive = `${version}.zip`;
    execFileSync("python3", ["-m", "zipfile", "-c", archive, "sallyport-agent"], { cwd: this.#folder });
    this.run("releases", "sign", archive, "--version", version, "--platform", "linux-x86_64", "--key", key, "--sequence", String(sequence));
    this.run("releases", "publish", archive);
  }

  run(...words) {
    return execFileSync(join(this.#system.programs, "sallyport"), words, {
      cwd: this.#folder,
      encoding: "utf8",
      env: {
        ...process.env,
        SALLYPORT_SERVER: `https://localhost:${this.#system.port}`,
        SALLYPORT_TOKEN_FILE: join(this.#folder, "token"),
        SALLYPORT_CA: join(this.#system.folder, "data/tls/ca.pem"),
        SALLYPORT_CONFIG_DIR: this.#folder,
      },
    });
  }
}
