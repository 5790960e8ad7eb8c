// A time as people say it, with the exact one on hover.

import { Tooltip } from "@mantine/core";
import { useEffect, useState, useSyncExternalStore } from "react";
import { useZone } from "../shell/settings";
import { absolute, relative } from "./format";

const TICK_MS = 5000;
let now = Date.now();
const listeners = new Set<() => void>();
setInterval(() => {
  now = Date.now();
  for (const listener of listeners) listener();
}, TICK_MS);

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The time, again every second while something goes on. */
export function useNow(goesOn: boolean): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (!goesOn) return;
    const tick = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(tick);
  }, [goesOn]);
  return now;
}

export function Time({ at, none = "-" }: { at: string | null | undefined; none?: string }) {
  const [zone] = useZone();
  const ticked = useSyncExternalStore(subscribe, () => now);
  if (!at) return <span>{none}</span>;
  const date = new Date(at);
  // What happened since the last tick is not in the future.
  const seen = Math.max(ticked, Math.min(date.getTime(), Date.now()));
  return (
    <Tooltip label={absolute(date, zone)}>
      <time dateTime={at}>{relative(date, seen)}</time>
    </Tooltip>
  );
}
