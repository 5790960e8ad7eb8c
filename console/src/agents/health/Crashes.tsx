// How an agent and its wrapper came to unwanted ends.

import { ActionIcon, Badge, Text, Tooltip } from "@mantine/core";
import { IconDownload } from "@tabler/icons-react";
import { useMutation, useQuery } from "@tanstack/react-query";
import { download, path, save } from "../../api/client";
import { crashesQuery } from "../../api/queries";
import type { Agent, Crash } from "../../api/types";
import { words } from "../../parts/format";
import { List, type Column } from "../../parts/List";
import { Said } from "../../parts/Said";
import { Time } from "../../parts/Time";
import { failed } from "../../parts/toast";

const COLUMNS: Column<Crash>[] = [
  { title: "When", cell: (crash) => <Time at={crash.at} /> },
  {
    title: "Cause",
    cell: (crash) => (
      <Badge variant="light" tt="none" color="red">
        {words(crash.cause)}
      </Badge>
    ),
  },
  { title: "Program", cell: (crash) => `${words(crash.program)} ${crash.version}` },
  {
    title: "What it said",
    cell: ({ message, place, thread }) => (
      <>
        <Text size="sm" lineClamp={3} className="wraps">
          <Said text={message} />
        </Text>
        {(place ?? thread) && (
          <Text size="xs" c="dimmed" className="wraps">
            {[place, thread && `thread ${thread}`].filter(Boolean).join(", ")}
          </Text>
        )}
      </>
    ),
  },
];

export function Crashes({ agent }: { agent: Agent }) {
  const { data, isPending, error } = useQuery(crashesQuery(agent.id));
  const fetchFile = useMutation({
    mutationFn: async ({ file }: Crash) => {
      const { name, blob } = await download(path`/agents/${agent.id}/crashes/${file}`);
      save(name, blob);
    },
    onError: (error) => failed("The crash report was not downloaded", error),
  });
  return (
    <List
      label="Crash reports"
      columns={COLUMNS}
      id={(crash) => crash.file}
      list={{ rows: data?.items ?? [], total: data?.total ?? 0, isPending, error }}
      sort=""
      onSort={() => {}}
      empty={<Text c="dimmed">Neither agent nor wrapper has crashed.</Text>}
      controls={(crash) => (
        <Tooltip label="Download, with stack and last lines">
          <ActionIcon variant="subtle" color="gray" aria-label={`Download ${crash.file}`} loading={fetchFile.isPending && fetchFile.variables.file === crash.file} onClick={() => fetchFile.mutate(crash)}>
            <IconDownload size={18} />
          </ActionIcon>
        </Tooltip>
      )}
    />
  );
}
