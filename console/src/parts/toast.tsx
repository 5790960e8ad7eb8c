// Short words at the bottom of the screen.

import { notifications } from "@mantine/notifications";
import { IconCheck, IconInfoCircle, IconX } from "@tabler/icons-react";

export function told(message: string) {
  notifications.show({ color: "green", icon: <IconCheck size={18} />, message });
}

/** Returns an id with which it can be taken away. */
export function informed(message: string): string {
  return notifications.show({ color: "blue", icon: <IconInfoCircle size={18} />, message, autoClose: 4000 });
}

export function failed(title: string, error: unknown) {
  notifications.show({
    color: "red",
    icon: <IconX size={18} />,
    title,
    message: said(error),
    autoClose: 15_000,
  });
}

/** An error in a sentence. */
export function said(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}
