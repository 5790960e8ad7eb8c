// What can be done to an agent, each with its words.

import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { download, path, save, send } from "../api/client";
import type { Agent } from "../api/types";
import { failed, informed, told } from "../parts/toast";

export function useAgentActions() {
  const cache = useQueryClient();
  const refresh = () => cache.invalidateQueries({ queryKey: ["agents"] });

  const fetchZip = useMutation({
    mutationFn: async ({ agent, policy }: { agent: Agent; policy: "restricted" | "permissive" }) => {
      const toast = informed("Retrieving a file...");
      try {
        const file = await download(path`/agents/${agent.id}/download`, { query: { policy } });
        save(file.name, file.blob);
      } finally {
        notifications.hide(toast);
      }
    },
    onError: (error, { agent }) => failed(`Agent ${agent.name} was not downloaded`, error),
  });

  const restart = useMutation({
    mutationFn: (agent: Agent) => send(path`/agents/${agent.id}/restart`, { method: "POST" }),
    onSuccess: (_, agent) => told(`Agent ${agent.name} restarts`),
    onError: (error, agent) => failed(`Agent ${agent.name} was not restarted`, error),
    onSettled: refresh,
  });

  const update = useMutation({
    mutationFn: (agent: Agent) => send(path`/agents/${agent.id}/update`, { method: "POST" }),
    onSuccess: (_, agent) => told(`Agent ${agent.name} is being updated`),
    onError: (error, agent) => failed(`Agent ${agent.name} is not updated`, error),
    onSettled: refresh,
  });

  const deactivate = useMutation({
    mutationFn: (agent: Agent) => send(path`/agents/${agent.id}/deactivate`, { method: "POST" }),
    onSuccess: (_, agent) => told(`Agent ${agent.name} is deactivated`),
    onError: (error, agent) => failed(`Agent ${agent.name} was not deactivated`, error),
    onSettled: refresh,
  });

  const reactivate = useMutation({
    mutationFn: (agent: Agent) => send(path`/agents/${agent.id}/reactivate`, { method: "POST" }),
    onSuccess: (_, agent) => told(`Agent ${agent.name} is active again`),
    onError: (error, agent) => failed(`Agent ${agent.name} was not reactivated`, error),
    onSettled: refresh,
  });

  return { fetchZip, restart, update, deactivate, reactivate };
}
