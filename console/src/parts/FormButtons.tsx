// The end of a form in a dialog: leave, or send it.

import { Button, Group } from "@mantine/core";

interface Props {
  /** The sending button's word. */
  verb?: string;
  /** Whether it is being sent. */
  sending: boolean;
  /** Whether something that it needs is missing. */
  disabled?: boolean;
  onClose: () => void;
}

export function FormButtons({ verb = "Save", sending, disabled = false, onClose }: Props) {
  return (
    <Group justify="flex-end">
      <Button variant="default" onClick={onClose}>
        Cancel
      </Button>
      <Button type="submit" loading={sending} disabled={disabled}>
        {verb}
      </Button>
    </Group>
  );
}
