// How an agent stands, finer than online and offline, and why, in words.

import type { Agent, Licence } from "../api/types";
import { sentence } from "../parts/format";

export interface Standing {
  /** In a word or two. */
  word: string;
  /** A sentence; nothing where the word says all. */
  why?: string;
}

/** An agent that was turned away by the licence after it was seen last. */
function turnedAway(agent: Agent, licence: Licence | undefined) {
  const refused = licence?.refused_agents.find((one) => one.agent_id === agent.id);
  if (!refused) return undefined;
  return Date.parse(refused.last_at) > Date.parse(agent.last_seen_at ?? agent.created_at) ? refused : undefined;
}

/** What its wrapper says of a version that comes or is new; an old word of a wrapper that is gone says nothing. */
const STEPS: Record<string, string> = { fetching: "Updating", rehearsing: "Updating", draining: "Draining", confirming: "On trial" };

function update({ wrapper, update }: Agent): Standing | undefined {
  const word = update && wrapper.status === "online" ? STEPS[update.step] : undefined;
  return word && update ? { word, why: `${sentence(update.text)}.` } : undefined;
}

export function standing(agent: Agent, licence?: Licence): Standing {
  if (!agent.active) return { word: "Inactive", why: "It is deactivated and cannot log in." };
  const updating = update(agent);
  if (updating) return updating;
  if (agent.status === "online") return { word: "Online" };
  if (turnedAway(agent, licence)) {
    return { word: "Turned away", why: `All ${licence?.agents_max ?? ""} agents of the licence are online. Stop another one, or ask the operator for a larger licence.` };
  }
  if (!agent.last_seen_at) return { word: "Never connected", why: "Download it and start it where the data is." };
  const exit = agent.last_exit;
  if (agent.wrapper.status === "online") {
    if (exit?.expected) return { word: "Restarting", why: "Its wrapper is online and starts it again." };
    return { word: "Starting again", why: exit ? `${exit.text} Its wrapper starts it again.` : "Its wrapper is online and starts it." };
  }
  if (agent.liveness?.cause === "stopped") return { word: "Stopped", why: "Somebody has stopped it." };
  return { word: "Unreachable", why: "Neither agent nor wrapper is connected: they are stopped, the machine is off, or it cannot reach the server." };
}
