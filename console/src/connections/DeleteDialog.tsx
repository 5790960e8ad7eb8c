// Removes a connection; while a task uses it, says which.

import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { forgetLists } from "../api/cache";
import { path, send } from "../api/client";
import type { Connection } from "../api/types";
import { Refused } from "../parts/Refused";
import { told } from "../parts/toast";
import { UsesList, useUses } from "./Uses";

export function DeleteDialog({ connection, onClose }: { connection: Connection; onClose: () => void }) {
  const uses = useUses(connection);
  const navigate = useNavigate();
  const used = (uses.data?.items.length ?? 0) > 0;
  const remove = useMutation({
    mutationFn: () => send(path`/connections/${connection.id}`, { method: "DELETE", version: connection.version }),
    onSuccess: () => {
      told(`Connection ${connection.name} is removed`);
      onClose();
      forgetLists("connections");
      void navigate({ to: "/connections" });
    },
  });
  return (
    <Modal opened onClose={onClose} title={`Remove connection ${connection.name}?`}>
      <Stack>
        {used ? (
          <>
            <Text size="sm">These steps use it; change their tasks first.</Text>
            <UsesList uses={uses.data?.items ?? []} />
          </>
        ) : (
          <Text size="sm">Its settings and secrets are gone then. What it leads to is not touched.</Text>
        )}
        <Refused error={uses.error ?? remove.error} title="Not removed" />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Cancel
          </Button>
          <Button color="red" disabled={used || uses.isPending} loading={remove.isPending} onClick={() => remove.mutate()}>
            Remove
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
