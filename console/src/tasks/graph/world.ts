// What a task's steps can name: connectors, connections, agents and other tasks.

import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { agentNamesQuery, connectionNamesQuery, connectorsQuery, taskNamesQuery } from "../../api/queries";
import type { Agent, Connection, Connector, TaskSummary } from "../../api/types";
import type { Step } from "../document/model";

export interface World {
  connectors: Connector[];
  connections: Connection[];
  agents: Agent[];
  tasks: TaskSummary[];
}

export function useWorld(): World {
  const { data: connectors } = useQuery(connectorsQuery);
  const { data: connections } = useQuery(connectionNamesQuery);
  const { data: agents } = useQuery(agentNamesQuery);
  const { data: tasks } = useQuery(taskNamesQuery);
  return useMemo(
    () => ({ connectors: connectors ?? [], connections: connections ?? [], agents: agents ?? [], tasks: tasks ?? [] }),
    [connectors, connections, agents, tasks],
  );
}

const is = (name: string | undefined) => (one: { name: string }) => one.name.toLowerCase() === name?.toLowerCase();

/** `transform`, `task`, or the connector's kind; empty where nothing says it. */
export function kindOf(step: Step, world: World): string {
  if (step.transform !== undefined) return "transform";
  if (step.task !== undefined) return "task";
  return step.connector ?? world.connections.find(is(step.connection))?.kind ?? "";
}

/** The agent that runs a step: its own, its connection's, or that of a transform's first input. */
export function agentOf(step: Step, steps: Step[], world: World): string | undefined {
  let one: Step | undefined = step;
  // Inputs in a circle end here too.
  for (let hops = 0; one && hops <= steps.length; hops += 1) {
    const agent: string | undefined = one.agent ?? world.connections.find(is(one.connection))?.agent;
    if (agent !== undefined) return agent;
    if (one.transform === undefined) return undefined;
    const from: string | undefined = one.input[0];
    one = steps.find((other) => other.name === from);
  }
  return undefined;
}

/** Whether an agent that does not reach a connection's target itself can use it through one that does. */
export const goesThrough = (connector: Connector | undefined) => connector?.origin === "built_in" && connector.reach === "network";

/** The agents that reach a step's connection where its own does not. */
export function throughOf(step: Step, world: World): string | undefined {
  const connection = world.connections.find(is(step.connection));
  if (!connection || step.agent === undefined) return undefined;
  return connection.agents.some((name) => is(step.agent)({ name })) ? undefined : connection.agents.join(" or ");
}

/** Whether other steps can take its rows. */
export const gives = (step: Step) => step.task === undefined && (step.transform !== undefined || !step.takes);

/** A name that no step has. */
export function freeName(wanted: string, steps: Step[]): string {
  const taken = new Set(steps.map((step) => step.name.toLowerCase()));
  if (!taken.has(wanted)) return wanted;
  let number = 2;
  while (taken.has(`${wanted}-${number}`)) number += 1;
  return `${wanted}-${number}`;
}
