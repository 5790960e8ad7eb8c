// *Agent settings*: a new agent, or what may be changed of one.

import { Modal, Radio, Select, SimpleGrid, Stack, Tabs, Text, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { get, path } from "../api/client";
import type { Agent } from "../api/types";
import { FormButtons } from "../parts/FormButtons";
import { Refused } from "../parts/Refused";
import { told } from "../parts/toast";
import { LEVELS } from "./levels";
import { PLATFORMS } from "./platforms";

interface Props {
  /** The agent to edit; none adds one. */
  agent?: Agent;
  onClose: () => void;
}

export function AgentDialog({ agent, onClose }: Props) {
  const [name, setName] = useState(agent?.name ?? "");
  const [platform, setPlatform] = useState<string | null>(agent?.platform ?? null);
  const [file, setFile] = useState(agent?.levels.file ?? "Info");
  const [console, setConsole] = useState(agent?.levels.console ?? "Info");
  const cache = useQueryClient();
  const save = useMutation({
    mutationFn: () => {
      const json = { name, levels: { file, console }, ...(platform ? { platform } : {}) };
      if (!agent) return get<Agent>("/agents", { method: "POST", json });
      return get<Agent>(path`/agents/${agent.id}`, { method: "PATCH", json, version: agent.version });
    },
    onSuccess: (saved) => {
      told(agent ? `Agent ${saved.name} is saved` : `Agent ${saved.name} is added. Download it next.`);
      void cache.invalidateQueries({ queryKey: ["agents"] });
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate();
  };
  const background = agent?.kind === "background";
  return (
    <Modal opened onClose={onClose} title="Agent settings" size="lg">
      <form onSubmit={submit}>
        <Tabs defaultValue="general" keepMounted>
          <Tabs.List mb="md">
            <Tabs.Tab value="general">General</Tabs.Tab>
            <Tabs.Tab value="log">File &amp; console log</Tabs.Tab>
          </Tabs.List>
          <Tabs.Panel value="general">
            <Stack>
              <TextInput
                label="Name"
                description="Names the agent in lists, in tasks and in the file that is downloaded."
                required
                maxLength={64}
                data-autofocus
                disabled={background}
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
              />
              {!background && (
                <Select
                  label="Platform"
                  description="What the download is made for. Without a choice: the server's own."
                  clearable={!agent?.platform}
                  placeholder="The server's own"
                  data={PLATFORMS}
                  value={platform}
                  onChange={setPlatform}
                />
              )}
            </Stack>
          </Tabs.Panel>
          <Tabs.Panel value="log">
            <Stack>
              <Text size="sm" c="dimmed">
                A log holds its level and everything more serious. An agent that is online takes a change up at once.
              </Text>
              <SimpleGrid cols={{ base: 1, sm: 2 }}>
                <Level label="Log file, and log on this page" value={file} onChange={setFile} />
                <Level label="Console of the agent" value={console} onChange={setConsole} />
              </SimpleGrid>
            </Stack>
          </Tabs.Panel>
        </Tabs>
        <Stack mt="lg">
          <Refused error={save.error} title="Not saved" />
          <FormButtons sending={save.isPending} onClose={onClose} />
        </Stack>
      </form>
    </Modal>
  );
}

function Level({ label, value, onChange }: { label: string; value: string; onChange: (level: string) => void }) {
  return (
    <Radio.Group label={label} value={value} onChange={onChange}>
      <Stack gap={6} mt={6}>
        {LEVELS.map(({ level, about }) => (
          <Radio key={level} value={level} label={level} description={about} size="sm" />
        ))}
      </Stack>
    </Radio.Group>
  );
}
