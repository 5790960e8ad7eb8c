import { Select } from "@mantine/core";

const LEVELS = ["Trace", "Debug", "Info", "Warning", "Error", "Fatal"];

/** The least serious level that is shown. */
export function LevelFilter({ value, onChange }: { value: string | undefined; onChange: (level: string | undefined) => void }) {
  return (
    <Select
      size="sm"
      w={150}
      aria-label="Level"
      placeholder="Every level"
      clearable
      data={LEVELS.map((level) => ({ value: level, label: level === "Fatal" ? level : `${level} and above` }))}
      value={value ?? null}
      onChange={(level) => onChange(level ?? undefined)}
    />
  );
}
