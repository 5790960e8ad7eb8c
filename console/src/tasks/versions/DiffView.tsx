// Two documents, and what differs: by sign and colour.

import { Text } from "@mantine/core";
import { useMemo } from "react";
import { lines, type Row } from "../document/diff";

/** Lines around a change that are shown. */
const AROUND = 3;

export function DiffView({ old, next, label }: { old: string; next: string; label: string }) {
  const shown = useMemo(() => near(lines(old.split("\n"), next.split("\n"))), [old, next]);
  if (shown.length === 0) {
    return (
      <Text size="sm" c="dimmed" p="md">
        They say the same.
      </Text>
    );
  }
  return (
    <div className="diff" role="region" aria-label={label} tabIndex={0}>
      <table>
        <tbody>
          {shown.map((row, at) =>
            row === null ? (
              <tr key={at} className="diff-gap">
                <td colSpan={4}>...</td>
              </tr>
            ) : (
              <tr key={at} className={`diff-${row.kind}`}>
                <td className="diff-number">{row.kind === "new" ? "" : row.left + 1}</td>
                <td className="diff-number">{row.kind === "gone" ? "" : row.right + 1}</td>
                <td className="diff-sign">{row.kind === "new" ? "+" : row.kind === "gone" ? "-" : ""}</td>
                <td className="diff-text">{row.text}</td>
              </tr>
            ),
          )}
        </tbody>
      </table>
    </div>
  );
}

/** The changes with some lines around them; null stands for what was left out. */
function near(rows: Row[]): (Row | null)[] {
  const wanted = new Set<number>();
  rows.forEach((row, at) => {
    if (row.kind === "same") return;
    for (let near = at - AROUND; near <= at + AROUND; near += 1) wanted.add(near);
  });
  const shown: (Row | null)[] = [];
  rows.forEach((row, at) => {
    if (wanted.has(at)) shown.push(row);
    else if (shown.length > 0 && shown.at(-1) !== null) shown.push(null);
  });
  if (shown.at(-1) === null) shown.pop();
  return shown;
}
