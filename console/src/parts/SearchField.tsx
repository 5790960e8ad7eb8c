// A search that is part of the address, written there once typing pauses.

import { TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconSearch } from "@tabler/icons-react";
import { useState } from "react";

const PAUSE_MS = 250;

interface Props {
  label: string;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}

export function SearchField({ label, value, onChange }: Props) {
  const [typed, setTyped] = useState(value ?? "");
  const [seen, setSeen] = useState(value);
  // The address was changed from elsewhere: back, a link.
  if (value !== seen) {
    setSeen(value);
    if ((value ?? "") !== typed.trim()) setTyped(value ?? "");
  }
  const write = useDebouncedCallback((text: string) => onChange(text.trim() || undefined), PAUSE_MS);
  return (
    <TextInput
      aria-label={label}
      placeholder={label}
      leftSection={<IconSearch size={16} aria-hidden />}
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        write(event.currentTarget.value);
      }}
      w={{ base: "100%", xs: 240 }}
    />
  );
}
