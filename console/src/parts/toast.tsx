// Short words at the bottom of the screen.

import { notifications } from "@mantine/notifications";
import { IconCheck, IconInfoCircle, IconX } from "@tabler/icons-react";
import { sentence } from "./format";
import { Said } from "./Said";

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
    message: <Said text={said(error)} />,
    autoClose: 15_000,
  });
}

/** An error in a sentence. */
export function said(error: unknown): string {
  return sentence(error instanceof Error ? error.message : String(error));
}
