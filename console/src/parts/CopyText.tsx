// A text that is meant to be copied as it stands.

import { Button, Code, CopyButton, Group, Text } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import type { ReactNode } from "react";

interface Props {
  /** What it is. */
  label: string;
  /** Whether that is clear to people who see the page. */
  clear?: boolean;
  text: string;
  /** The button's words. */
  verb: string;
  /** What else can be done, before the button. */
  children?: ReactNode;
}

export function CopyText({ label, clear = false, text, verb, children }: Props) {
  return (
    <div>
      {!clear && (
        <Text size="sm" fw={500} mb={4}>
          {label}
        </Text>
      )}
      <Code block className="copy-text" tabIndex={0} role="region" aria-label={label}>
        {text}
      </Code>
      <Group gap="xs" mt="xs">
        {children}
        <CopyButton value={text}>
          {({ copied, copy }) => (
            <Button size="xs" variant="default" leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />} onClick={copy}>
              {copied ? "Copied" : verb}
            </Button>
          )}
        </CopyButton>
      </Group>
    </div>
  );
}
