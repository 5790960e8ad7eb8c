// Lines of a log: only those in sight are drawn. It stays at the newest until a person scrolls up.

import { ActionIcon, Box, Button, Group, Paper, Skeleton, Text, Tooltip } from "@mantine/core";
import { IconArrowBarToDown, IconDownload, IconExclamationCircle, IconPlayerPause, IconTextWrap } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { save } from "../api/client";
import { useZone } from "../shell/settings";
import { absolute, clock, count } from "./format";
import { Refused } from "./Refused";
import type { Line, Tail } from "./tail";

const LINE_PX = 20;
const SERIOUS = ["Error", "Fatal"];

interface Props<T extends Line> {
  label: string;
  tail: Tail<T>;
  /** What wrote a line, in a word. */
  source: (line: T) => string;
  /** The name of the file that holds what is shown. */
  file: string;
  filters?: ReactNode;
  height: string;
}

export function LogView<T extends Line>({ label, tail, source, file, filters, height }: Props<T>) {
  const [zone] = useZone();
  const [wrap, setWrap] = useState(false);
  // While paused, the lines that stood then; what comes meanwhile is only counted.
  const [frozen, setFrozen] = useState<T[] | null>(null);
  const lines = frozen ?? tail.lines;
  const last = frozen?.at(-1)?.seq ?? 0;
  const fresh = frozen ? tail.lines.length - Math.max(tail.lines.findLastIndex((line) => line.seq <= last) + 1, 0) : 0;
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_PX,
    overscan: 20,
  });
  useEffect(() => {
    if (!frozen && lines.length > 0) rows.scrollToIndex(lines.length - 1, { align: "end" });
  }, [frozen, lines.length, rows]);

  const jumpToError = () => {
    const from = rows.range?.startIndex ?? 0;
    const serious = (line: T) => SERIOUS.includes(line.level);
    const next = lines.findIndex((line, at) => at > from && serious(line));
    const found = next >= 0 ? next : lines.findIndex(serious);
    if (found < 0) return;
    setFrozen(lines);
    rows.scrollToIndex(found, { align: "start" });
  };
  const text = () => lines.map((line) => `${line.at} ${line.level.padEnd(7)} ${source(line)} ${line.message}\n`);
  const errors = lines.some((line) => SERIOUS.includes(line.level));
  return (
    <Paper withBorder style={{ overflow: "hidden" }} component="section" aria-label={label}>
      <Group p="xs" gap="xs" justify="space-between">
        <Group gap="xs">{filters}</Group>
        <Group gap={4}>
          <Tooltip label="Jump to the next error">
            <ActionIcon variant="subtle" color="gray" disabled={!errors} aria-label="Jump to the next error" onClick={jumpToError}>
              <IconExclamationCircle size={18} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label={wrap ? "Do not wrap long lines" : "Wrap long lines"}>
            <ActionIcon variant={wrap ? "light" : "subtle"} color="gray" aria-label="Wrap long lines" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
              <IconTextWrap size={18} />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="Download what is shown">
            <ActionIcon variant="subtle" color="gray" aria-label="Download what is shown" onClick={() => save(file, new Blob(text()))}>
              <IconDownload size={18} />
            </ActionIcon>
          </Tooltip>
          {!frozen && !tail.ended && (
            <Button size="xs" variant="default" leftSection={<IconPlayerPause size={14} />} onClick={() => setFrozen(tail.lines)}>
              Pause
            </Button>
          )}
          {frozen && (
            <Button size="xs" leftSection={<IconArrowBarToDown size={14} />} onClick={() => setFrozen(null)}>
              Paused - {count(fresh)} new {fresh === 1 ? "line" : "lines"} - Jump to live
            </Button>
          )}
        </Group>
      </Group>
      {tail.error ? (
        <Box px="xs" pb="xs">
          <Refused error={tail.error} title="Live lines interrupted" />
        </Box>
      ) : null}
      <div
        ref={box}
        className={wrap ? "log log-wrap" : "log"}
        style={{ height }}
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={label}
        onWheel={(event) => {
          if (event.deltaY < 0 && !frozen && lines.length > 0) setFrozen(lines);
        }}
        onKeyDown={(event) => {
          if (["ArrowUp", "PageUp", "Home"].includes(event.key) && !frozen && lines.length > 0) setFrozen(lines);
        }}
      >
        {tail.loading && <Skeleton h={LINE_PX * 5} m="xs" w="60%" />}
        {!tail.loading && lines.length === 0 && (
          <Text p="md" size="sm" c="dimmed">
            Nothing to show. Lines appear here as they are written.
          </Text>
        )}
        <div style={{ height: rows.getTotalSize(), position: "relative" }}>
          <div style={{ transform: `translateY(${rows.getVirtualItems()[0]?.start ?? 0}px)` }}>
            {rows.getVirtualItems().map((row) => {
              const line = lines[row.index];
              if (!line) return null;
              const at = new Date(line.at);
              return (
                <div className="log-line" key={row.key} data-index={row.index} ref={wrap ? rows.measureElement : undefined}>
                  <span className="log-time" title={absolute(at, zone)}>
                    {clock(at, zone, true)}
                  </span>
                  <span className="log-level" data-level={line.level}>
                    {line.level}
                  </span>
                  <span className="log-source">{source(line)}</span>
                  <span>{line.message}</span>
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </Paper>
  );
}
