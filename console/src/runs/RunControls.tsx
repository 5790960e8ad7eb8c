// What can be done to a run: cancel it while it goes on, start it again afterwards.

import { Button, Group, List, Modal, Stack, Text, Tooltip } from "@mantine/core";
import { IconPlayerStop, IconRefresh, IconRotateDot } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { get, path, send } from "../api/client";
import type { Run } from "../api/types";
import { words } from "../parts/format";
import { failed, told } from "../parts/toast";
import { newest } from "./layout";

/** States whose runs have something to repeat from. */
const FAILED = ["failed", "timed_out", "finished_with_errors", "cancelled"];

export function RunControls({ run }: { run: Run }) {
  const [asking, setAsking] = useState(false);
  const navigate = useNavigate();
  const rerun = useMutation({
    mutationFn: (from_failed: boolean) => get<Run>(path`/runs/${run.id}/rerun`, { method: "POST", json: { from_failed } }),
    onSuccess: (next) => {
      told("Started again");
      void navigate({ to: `/runs/${next.id}` });
    },
    onError: (error) => failed("Not started again", error),
  });
  if (!run.ended) {
    return (
      <>
        <Button color="red" variant="light" leftSection={<IconPlayerStop size={16} />} onClick={() => setAsking(true)}>
          Cancel
        </Button>
        {asking && <CancelDialog run={run} onClose={() => setAsking(false)} />}
      </>
    );
  }
  return (
    <>
      {FAILED.includes(run.state) && (
        <Tooltip label="A new run takes over what ended well and tries the rest again">
          <Button variant="default" leftSection={<IconRotateDot size={16} />} loading={rerun.isPending} onClick={() => rerun.mutate(true)}>
            Repeat from what failed
          </Button>
        </Tooltip>
      )}
      <Button leftSection={<IconRefresh size={16} />} loading={rerun.isPending} onClick={() => rerun.mutate(false)}>
        Run again
      </Button>
    </>
  );
}

function CancelDialog({ run, onClose }: { run: Run; onClose: () => void }) {
  const cache = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => send(path`/runs/${run.id}/cancel`, { method: "POST", json: {} }),
    onSuccess: () => told("The run is being cancelled"),
    onError: (error) => failed("Not cancelled", error),
    onSettled: () => {
      onClose();
      return cache.invalidateQueries({ queryKey: ["runs"] });
    },
  });
  const open = newest(run.steps ?? []).filter((step) => !step.finished_at);
  return (
    <Modal opened onClose={onClose} title={`Cancel this run of ${run.task}?`}>
      <Stack>
        <Text>Every step stops on its agent and removes what it has half written.</Text>
        {open.length > 0 && (
          <List size="sm" aria-label="Steps that are cancelled">
            {open.map((step) => (
              <List.Item key={step.step}>
                {step.step}: {words(step.state).toLowerCase()}
                {step.agent ? ` on ${step.agent}` : ""}
              </List.Item>
            ))}
          </List>
        )}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Let it go on
          </Button>
          <Button color="red" loading={cancel.isPending} onClick={() => cancel.mutate()}>
            Cancel the run
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
