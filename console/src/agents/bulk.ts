// What can be done to one agent and to several at once.

import type { Agent } from "../api/types";

export interface Bulk {
  /** The last part of the address. */
  verb: "restart" | "update" | "deactivate" | "reactivate";
  word: string;
  /** What has happened, after the agent's name. */
  done: string;
  /** What it means, before it is done. */
  means: string;
  /** Whether it cancels what the agent executes. */
  cancels: boolean;
  fits: (agent: Agent) => boolean;
}

export const RESTART: Bulk = {
  verb: "restart",
  word: "Restart",
  done: "restarts",
  means: "A restart cancels everything that the agent executes.",
  cancels: true,
  fits: (agent) => agent.kind === "remote" && agent.status === "online",
};

export const UPDATE: Bulk = {
  verb: "update",
  word: "Update",
  done: "is being updated",
  means: "The newest release is installed now, whatever the rollout's percentage and windows say. Once it has rehearsed beside the running version, everything that the agent executes is cancelled.",
  cancels: true,
  fits: (agent) => agent.kind === "remote" && agent.active && agent.wrapper.status === "online",
};

const DEACTIVATE: Bulk = {
  verb: "deactivate",
  word: "Deactivate",
  done: "is deactivated",
  means: "A deactivated agent cannot log in until it is reactivated. It is refused while an active step of an active task is served by the agent.",
  cancels: false,
  fits: (agent) => agent.kind === "remote" && agent.active && agent.status === "offline",
};

const REACTIVATE: Bulk = {
  verb: "reactivate",
  word: "Reactivate",
  done: "is active again",
  means: "Their credentials work again.",
  cancels: false,
  fits: (agent) => !agent.active,
};

export const BULK = [RESTART, UPDATE, DEACTIVATE, REACTIVATE];
