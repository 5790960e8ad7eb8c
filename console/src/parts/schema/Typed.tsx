// Fields that are typed: what stands in them stays as it was typed while it means the same.

import { Textarea, TextInput, type TextInputProps } from "@mantine/core";
import { useState } from "react";

interface Props<T> extends Pick<TextInputProps, "label" | "description" | "placeholder" | "required" | "error" | "inputMode"> {
  value: T | undefined;
  /** What a text means; undefined removes the field. */
  read: (text: string) => T | undefined;
  show: (value: T) => string;
  onChange: (value: T | undefined) => void;
  lines?: boolean;
}

export function Typed<T>({ value, read, show, onChange, lines = false, ...about }: Props<T>) {
  const shown = value === undefined ? "" : show(value);
  const [typed, setTyped] = useState(shown);
  // Changed from elsewhere, such as in the document.
  const meant = read(typed);
  const stands = meant === undefined ? value === undefined : value !== undefined && show(meant) === shown;
  const text = stands ? typed : shown;
  const change = (next: string) => {
    setTyped(next);
    onChange(read(next));
  };
  if (lines) {
    return (
      <Textarea
        {...about}
        autosize
        minRows={2}
        maxRows={14}
        value={text}
        onChange={(event) => change(event.currentTarget.value)}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)", fontSize: 13 } }}
      />
    );
  }
  return <TextInput {...about} value={text} onChange={(event) => change(event.currentTarget.value)} />;
}
