// Asks before something is taken away.

import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import type { UseMutationResult } from "@tanstack/react-query";
import { Refused } from "./Refused";

interface Props<T> {
  title: string;
  /** What it means. */
  means: string;
  /** The button's word. */
  verb: string;
  action: UseMutationResult<unknown, Error, T>;
  /** What the action is given. */
  on: T;
  onClose: () => void;
}

export function ConfirmDialog<T>({ title, means, verb, action, on, onClose }: Props<T>) {
  return (
    <Modal opened onClose={onClose} title={title}>
      <Stack>
        <Text>{means}</Text>
        <Refused error={action.error} title="It was refused" />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose} data-autofocus>
            Keep it
          </Button>
          <Button color="red" loading={action.isPending} onClick={() => action.mutate(on)}>
            {verb}
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
