// Somebody else has saved the task meanwhile: what differs, and the ways out.

import { Alert, Button, Group, Paper, Skeleton, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { get, path } from "../api/client";
import type { Task } from "../api/types";
import { Refused } from "../parts/Refused";
import { DiffView } from "./versions/DiffView";

interface Props {
  id: string;
  mine: string;
  onTake: (newest: Task) => void;
  /** Saves what was written here, on top of that version. */
  onInsist: (newest: Task) => void;
}

export function Overtaken({ id, mine, onTake, onInsist }: Props) {
  const [open, setOpen] = useState(false);
  // Not the cached one: that is what the edit was based on.
  const newest = useQuery({ queryKey: ["tasks", "newest", id], queryFn: ({ signal }) => get<Task>(path`/tasks/${id}`, { signal }), gcTime: 0 });
  const { data } = newest;
  return (
    <Alert color="orange" title="Somebody else has saved this task meanwhile">
      <Stack gap="sm">
        <Text size="sm">
          {data ? `${data.summary.author} saved version ${data.summary.version}. ` : ""}
          Nothing is lost: look at what differs, then take theirs or save yours over it; theirs stays among the versions.
        </Text>
        <Refused error={newest.error} title="The newest version cannot be read" />
        {open && (
          <Paper withBorder style={{ overflow: "hidden" }}>
            {data ? <DiffView old={data.document} next={mine} label="From theirs to yours" /> : <Skeleton h={60} />}
          </Paper>
        )}
        <Group gap="xs">
          <Button size="xs" variant="default" aria-expanded={open} onClick={() => setOpen(!open)}>
            {open ? "Hide what differs" : "See what differs"}
          </Button>
          <Button size="xs" variant="default" disabled={!data} onClick={() => data && onTake(data)}>
            Load the newest version
          </Button>
          <Button size="xs" variant="default" disabled={!data} onClick={() => data && onInsist(data)}>
            Save mine over it
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
