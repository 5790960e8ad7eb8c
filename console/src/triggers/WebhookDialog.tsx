// A webhook's address: made here, shown once, with a call to copy.

import { Alert, Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { get, path } from "../api/client";
import type { Trigger, Webhook } from "../api/types";
import { CopyText } from "../parts/CopyText";
import { Refused } from "../parts/Refused";
import { exampleCall } from "./call";

export function WebhookDialog({ trigger, onClose }: { trigger: Trigger; onClose: () => void }) {
  const cache = useQueryClient();
  const make = useMutation({
    mutationFn: () => get<Webhook>(path`/tasks/${trigger.task_id}/triggers/${trigger.name}/token`, { method: "POST" }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["triggers"] }),
  });
  const hook = make.data;
  return (
    <Modal opened onClose={onClose} title={`Address of webhook ${trigger.name}`} size="xl" closeOnClickOutside={!hook} closeOnEscape={!hook}>
      {hook ? (
        <Stack>
          <Alert color="yellow" title="Copy it now">
            It is not shown again. Whoever has it can start {trigger.task}.
          </Alert>
          <CopyText label="Address" text={hook.url} verb="Copy the address" />
          {hook.secret && <CopyText label="Secret of the signature" text={hook.secret} verb="Copy the secret" />}
          <div>
            <CopyText label="A call" text={exampleCall(hook, trigger.definition)} verb="Copy the call" />
            <Text size="xs" c="dimmed" mt="xs">
              The answer names the run. Calls with one Idempotency-Key start one run. For a certificate that the system does not know, add --cacert with the server's tls/ca.pem.
            </Text>
          </div>
          <Group justify="flex-end">
            <Button onClick={onClose}>Done</Button>
          </Group>
        </Stack>
      ) : (
        <Stack>
          <Text>
            {trigger.has_token
              ? "The address was shown when it was made, and is kept nowhere. A new one ends it at once: whoever calls it is refused from then on."
              : `Whoever posts to the address starts ${trigger.task}. It has no address yet.`}
          </Text>
          <Refused error={make.error} title="Not made" />
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button color={trigger.has_token ? "red" : undefined} loading={make.isPending} onClick={() => make.mutate()} data-autofocus={!trigger.has_token || undefined}>
              {trigger.has_token ? "Make a new address" : "Make the address"}
            </Button>
          </Group>
        </Stack>
      )}
    </Modal>
  );
}
