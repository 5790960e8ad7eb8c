// Starts a task, with values for its parameters.

import { Button, Group, Loader, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { get, path } from "../api/client";
import { taskQuery } from "../api/queries";
import type { Run } from "../api/types";
import { Refused } from "../parts/Refused";
import { told } from "../parts/toast";
import { parameters } from "./parameters";

export function StartDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const task = useQuery(taskQuery(id));
  const [values, setValues] = useState<Record<string, string>>({});
  const cache = useQueryClient();
  const navigate = useNavigate();
  const start = useMutation({
    // What is left empty keeps its default.
    mutationFn: () => {
      const given = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
      return get<Run>(path`/tasks/${id}/runs`, { method: "POST", json: { parameters: given } });
    },
    onSuccess: (run) => {
      told(`${run.task} is started`);
      void cache.invalidateQueries({ queryKey: ["runs"] });
      onClose();
      void navigate({ to: `/runs/${run.id}` });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    start.mutate();
  };
  const wanted = task.data ? parameters(task.data) : [];
  return (
    <Modal opened onClose={onClose} title={task.data ? `Start ${task.data.summary.name}` : "Start"}>
      <form onSubmit={submit}>
        <Stack>
          {task.isPending && <Loader size="sm" aria-label="Loading" />}
          <Refused error={task.error} title="The task cannot be read" />
          {task.data && wanted.length === 0 && <Text c="dimmed">It takes no parameters.</Text>}
          {wanted.map(({ name, type, required, fallback, description }) => (
            <TextInput
              key={name}
              label={name}
              description={[description, type].filter(Boolean).join(" - ")}
              required={required}
              placeholder={fallback}
              value={values[name] ?? ""}
              onChange={(event) => {
                const { value } = event.currentTarget;
                setValues((now) => ({ ...now, [name]: value }));
              }}
            />
          ))}
          <Refused error={start.error} title="Not started" />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button type="submit" disabled={!task.data} loading={start.isPending} data-autofocus>
              Start
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
