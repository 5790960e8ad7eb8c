import type { Agent } from "../api/types";

export interface Bulk {
  /** The last part of the address. */
  verb: "restart" | "deactivate" | "reactivate";
  word: string;
  /** What has happened, after the agent's name. */
  done: string;
  /** What it means, before it is done. */
  means: string;
  fits: (agent: Agent) => boolean;
}

export const BULK: Bulk[] = [
  {
    verb: "restart",
    word: "Restart",
    done: "restarts",
    means: "A restart cancels everything that the agent executes.",
    fits: (agent) => agent.kind === "remote" && agent.status === "online",
  },
  {
    verb: "deactivate",
    word: "Deactivate",
    done: "is deactivated",
    means: "A deactivated agent cannot log in until it is reactivated. It is refused while an active step of an active task is served by the agent.",
    fits: (agent) => agent.kind === "remote" && agent.active && agent.status === "offline",
  },
  {
    verb: "reactivate",
    word: "Reactivate",
    done: "is active again",
    means: "Their credentials work again.",
    fits: (agent) => !agent.active,
  },
];
