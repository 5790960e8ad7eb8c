// Lines of a log: only those in sight are drawn. It stays at the newest until a person scrolls up.

import { ActionIcon, Box, Button, Group, Paper, Skeleton, Text, Tooltip } from "@mantine/core";
import { IconArrowBarToDown, IconDownload, IconExclamationCircle, IconLink, IconPlayerPause, IconTextWrap } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { save } from "../api/client";
import { useZone } from "../shell/settings";
import { count } from "./format";
import { LogLine } from "./LogLine";
import { Refused } from "./Refused";
import { LINES_MAX, type Line, type Tail } from "./tail";
import { failed, told } from "./toast";

const LINE_PX = 20;
/** Where a line is longer than what is in sight, it wraps unless somebody says otherwise. */
const NARROW = "(max-width: 48em)";
const SERIOUS = ["Error", "Fatal"];
const serious = (line: Line) => SERIOUS.includes(line.level);

interface Props<T extends Line> {
  label: string;
  tail: Tail<T>;
  /** What wrote a line, in a word. */
  source: (line: T) => string;
  /** The name of the file that holds what is shown. */
  file: string;
  filters?: ReactNode;
  height: string;
  /** Lines before one, the oldest first; fewer than asked for are all there are. */
  older?: (before: number) => Promise<T[]>;
  /** Goes to an error that is not loaded; says whether there is one. */
  seek?: (from: { after: number } | { before: number }) => Promise<boolean>;
  /** The line that the address names, and where such an address begins. */
  line?: number | undefined;
  link?: (line: T) => string;
  /** Leaves the line that the address names. */
  onLive?: () => void;
  /** Hands over the whole log, not only what is loaded. */
  whole?: () => Promise<void>;
  /** Which log, with which filters: another one begins anew. */
  of: string;
}

export function LogView<T extends Line>({ label, tail, source, file, filters, height, older, seek, line: named, link, onLive, whole, of }: Props<T>) {
  const [zone] = useZone();
  const [wrap, setWrap] = useState(() => window.matchMedia(NARROW).matches);
  // While paused, the lines that stood then; what comes meanwhile is only counted.
  const [frozen, setFrozen] = useState<T[] | null>(null);
  const [earlier, setEarlier] = useState<T[]>([]);
  const [allOlder, setAllOlder] = useState(false);
  const [fetching, setFetching] = useState(false);
  const [marked, setMarked] = useState<number | undefined>(named);
  const [shown, setShown] = useState(of);
  if (of !== shown) {
    setShown(of);
    setFrozen(null);
    setEarlier([]);
    setAllOlder(false);
    setMarked(named);
  }
  const standing = frozen ?? tail.lines;
  const lines = earlier.length > 0 ? earlier.concat(standing) : standing;
  const last = frozen?.at(-1)?.seq ?? 0;
  const fresh = frozen ? tail.lines.length - Math.max(tail.lines.findLastIndex((line) => line.seq <= last) + 1, 0) : 0;
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE_PX,
    overscan: 20,
  });
  const still = frozen !== null || named !== undefined;
  useEffect(() => {
    if (still || lines.length === 0) return;
    rows.scrollToIndex(lines.length - 1, { align: "end" });
    // Once more when it is drawn: a log that does not grow is not asked again.
    const drawn = requestAnimationFrame(() => box.current?.scrollTo({ top: box.current.scrollHeight }));
    return () => cancelAnimationFrame(drawn);
  }, [still, lines.length, rows]);

  // The line that the address names, once it is there.
  const sought = useRef<number | undefined>(undefined);
  useEffect(() => {
    if (named === undefined || sought.current === named) return;
    const at = lines.findIndex((line) => line.seq >= named);
    if (at < 0) return;
    sought.current = named;
    setMarked(lines[at]?.seq);
    rows.scrollToIndex(at, { align: "center" });
    requestAnimationFrame(() => rows.scrollToIndex(at, { align: "center" }));
  }, [named, lines, rows]);

  const show = (at: number) => {
    if (!frozen) setFrozen(tail.lines);
    setMarked(lines[at]?.seq);
    rows.scrollToIndex(at, { align: "center" });
  };
  /** Marks the line before or after the marked one; the first to be marked is the last in sight. */
  const markNext = (by: number) => {
    const at = lines.findIndex((line) => line.seq === marked);
    const next = at < 0 ? (rows.range?.endIndex ?? 0) : at + by;
    if (next < 0 || next >= lines.length) return;
    pause();
    setMarked(lines[next]?.seq);
    rows.scrollToIndex(next, { align: "auto" });
  };
  const jumpToError = async () => {
    const at = lines.findIndex((line) => line.seq === marked);
    const from = at >= 0 ? at : still ? (rows.range?.startIndex ?? 0) - 1 : lines.length;
    const next = lines.findIndex((line, index) => index > from && serious(line));
    if (next >= 0) return show(next);
    const edge = named === undefined ? lines[0] : lines.at(-1);
    // Behind the newest loaded line there may be more; a live log begins anew.
    if (named === undefined) {
      const first = lines.findIndex(serious);
      if (first >= 0) return show(first);
    }
    const found = seek && edge ? await seek(named === undefined ? { before: edge.seq } : { after: edge.seq }) : false;
    if (!found) told("There is no other error in this log");
  };
  const loadOlder = async () => {
    const first = lines[0];
    if (!older || !first) return;
    const more = await older(first.seq).catch((error: unknown) => failed("Older lines were not loaded", error));
    if (!more) return;
    if (more.length === 0) setAllOlder(true);
    if (!frozen) setFrozen(tail.lines);
    setEarlier((now) => more.concat(now));
    // What was in sight stays there.
    requestAnimationFrame(() => box.current?.scrollBy({ top: more.length * LINE_PX }));
  };
  const goLive = () => {
    setFrozen(null);
    setEarlier([]);
    setMarked(undefined);
    sought.current = undefined;
    onLive?.();
  };
  const pause = () => {
    if (!still && lines.length > 0) setFrozen(tail.lines);
  };
  const copyLink = (line: T | undefined) => {
    if (!line || !link) return;
    setMarked(line.seq);
    navigator.clipboard.writeText(link(line)).then(
      () => told("The link to the line is copied"),
      (error: unknown) => failed("The link was not copied", error),
    );
  };
  const fetchWhole = async () => {
    setFetching(true);
    await whole?.().catch((error: unknown) => failed("The log was not downloaded", error));
    setFetching(false);
  };
  const text = () => lines.map((line) => `${line.at} ${line.level.padEnd(7)} ${source(line)} ${line.message}\n`);
  const canOlder = older && !allOlder && !tail.loading && lines.length > 0 && lines.length < LINES_MAX;
  const markedLine = lines.find((line) => line.seq === marked);
  return (
    <Paper withBorder style={{ overflow: "hidden" }} component="section" aria-label={label}>
      <Group p="xs" gap="xs" justify="space-between">
        <Group gap="xs">{filters}</Group>
        <Group gap={4}>
          <Tooltip label="Jump to the next error">
            <ActionIcon variant="subtle" color="gray" disabled={!seek && !lines.some(serious)} aria-label="Jump to the next error" onClick={() => void jumpToError()}>
              <IconExclamationCircle size={18} />
            </ActionIcon>
          </Tooltip>
          {link && (
            <Tooltip label={markedLine ? "Copy a link to the marked line" : "Mark a line by its time, or with the arrow keys, to copy a link to it"}>
              <ActionIcon variant="subtle" color="gray" aria-label="Copy a link to the marked line" disabled={!markedLine} onClick={() => copyLink(markedLine)}>
                <IconLink size={18} />
              </ActionIcon>
            </Tooltip>
          )}
          <Tooltip label={wrap ? "Do not wrap long lines" : "Wrap long lines"}>
            <ActionIcon variant={wrap ? "light" : "subtle"} color="gray" aria-label="Wrap long lines" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
              <IconTextWrap size={18} />
            </ActionIcon>
          </Tooltip>
          {whole ? (
            <Tooltip label="Download the whole log, as filtered">
              <ActionIcon variant="subtle" color="gray" aria-label="Download the whole log" loading={fetching} onClick={() => void fetchWhole()}>
                <IconDownload size={18} />
              </ActionIcon>
            </Tooltip>
          ) : (
            <Tooltip label="Download what is shown">
              <ActionIcon variant="subtle" color="gray" aria-label="Download what is shown" onClick={() => save(file, new Blob(text()))}>
                <IconDownload size={18} />
              </ActionIcon>
            </Tooltip>
          )}
          {!still && !tail.ended && (
            <Button size="xs" variant="default" leftSection={<IconPlayerPause size={14} />} onClick={() => setFrozen(tail.lines)}>
              Pause
            </Button>
          )}
          {still && (
            <Button size="xs" leftSection={<IconArrowBarToDown size={14} />} onClick={goLive}>
              {named !== undefined ? "Jump to live" : `Paused - ${count(fresh)} new ${fresh === 1 ? "line" : "lines"} - Jump to live`}
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
          if (event.deltaY < 0) pause();
        }}
        onKeyDown={(event) => {
          if (link && event.target === event.currentTarget && ["ArrowUp", "ArrowDown"].includes(event.key)) {
            event.preventDefault();
            markNext(event.key === "ArrowUp" ? -1 : 1);
          } else if (["ArrowUp", "PageUp", "Home"].includes(event.key)) pause();
        }}
      >
        {tail.loading && <Skeleton h={LINE_PX * 5} m="xs" w="60%" />}
        {!tail.loading && lines.length === 0 && (
          <Text p="md" size="sm" c="dimmed">
            Nothing to show. Lines appear here as they are written.
          </Text>
        )}
        {canOlder && (
          <Button size="compact-xs" variant="subtle" m={2} onClick={() => void loadOlder()}>
            Load older lines
          </Button>
        )}
        <div style={{ height: rows.getTotalSize(), position: "relative" }}>
          <div style={{ transform: `translateY(${rows.getVirtualItems()[0]?.start ?? 0}px)` }}>
            {rows.getVirtualItems().map((row) => {
              const line = lines[row.index];
              if (!line) return null;
              return (
                <div className="log-line" key={row.key} data-index={row.index} data-marked={line.seq === marked || undefined} ref={wrap ? rows.measureElement : undefined}>
                  <LogLine line={line} source={source(line)} zone={zone} onMark={link ? () => (line.seq === marked ? copyLink(line) : show(row.index)) : undefined} />
                </div>
              );
            })}
          </div>
        </div>
      </div>
    </Paper>
  );
}
