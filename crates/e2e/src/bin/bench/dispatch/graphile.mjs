// graphile-worker: jobs that do nothing, added one at a time as a client does, taken by one worker process.
import { createRequire } from "node:module";

const [modules, connectionString, paced, flatOut] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { run, makeWorkerUtils, Logger } = require("graphile-worker");

const CLIENTS = 32;
const logger = new Logger(() => () => {});
const waits = [];
let done = 0;
let wanted = 0;
let finished = () => {};

const taskList = {
  nothing: async ({ asked }) => {
    if (asked !== undefined) waits.push(performance.now() - asked);
    done += 1;
    if (done === wanted) finished();
  },
};

function all(count) {
  done = 0;
  wanted = count;
  return new Promise((resolve) => { finished = resolve; });
}

const utils = await makeWorkerUtils({ connectionString, logger, maxPoolSize: CLIENTS });
await utils.migrate();
const runner = await run({ connectionString, logger, taskList, concurrency: 16, maxPoolSize: 20, noHandleSignals: true });

async function oneByOne(count) {
  const ended = all(count);
  for (let number = 0; number < count; number++) {
    await utils.addJob("nothing", { asked: performance.now() });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await ended;
}

await oneByOne(32);
waits.length = 0;
await oneByOne(Number(paced));

const ended = all(Number(flatOut));
const began = performance.now();
let next = 0;
const client = async () => {
  while (next < Number(flatOut)) {
    next += 1;
    await utils.addJob("nothing", {});
  }
};
await Promise.all(Array.from({ length: CLIENTS }, client));
await ended;
const took = performance.now() - began;
await runner.stop();
await utils.release();
console.log(JSON.stringify({ waits, took }));
