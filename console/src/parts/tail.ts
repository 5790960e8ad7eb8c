// A log that grows: what stands, then what is written, gathered so that the page draws ten times a second at most.

import { useEffect, useState } from "react";
import { ApiError, type Query } from "../api/client";
import { follow } from "../api/stream";

/** More would make the page slow; the oldest go first. */
export const LINES_MAX = 50_000;

const GATHER_MS = 100;
const AGAIN_MS = 1000;

export interface Line {
  seq: number;
  at: string;
  level: string;
  message: string;
}

export interface Source<T extends Line> {
  /** Lines that stand already, the oldest first; none where the stream begins with them. */
  history?: (signal: AbortSignal) => Promise<T[]>;
  /** Where lines come from, and with which filters; none where only what stands is shown. */
  stream?: string;
  query?: Query;
}

export interface Tail<T> {
  lines: T[];
  loading: boolean;
  /** Refused for good; or the last fault while it is tried again. */
  error: unknown;
  /** Nothing more will come. */
  ended: boolean;
}

const NOTHING = { lines: [], loading: true, error: null, ended: false };

/** Follows `source` for as long as `key` is the same. */
export function useTail<T extends Line>(key: string, source: Source<T>): Tail<T> {
  const [tail, setTail] = useState<{ key: string } & Tail<T>>({ key, ...NOTHING });
  useEffect(() => {
    const stop = new AbortController();
    const gathered: T[] = [];
    let after: number | undefined;
    const change = (next: Partial<Tail<T>>) => {
      if (!stop.signal.aborted) setTail((now) => ({ ...(now.key === key ? now : { key, ...NOTHING }), ...next }));
    };
    const flush = setInterval(() => {
      if (gathered.length === 0) return;
      const fresh = gathered.splice(0);
      setTail((now) => {
        const lines = now.key === key ? now.lines.concat(fresh) : fresh;
        return { key, loading: false, error: null, ended: now.ended, lines: lines.length > LINES_MAX ? lines.slice(-LINES_MAX) : lines };
      });
    }, GATHER_MS);
    const read = async (): Promise<boolean> => {
      if (after === undefined && source.history) {
        const lines = await source.history(stop.signal);
        after = lines.at(-1)?.seq ?? 0;
        change({ lines, loading: false, error: null });
      }
      if (!source.stream) return true;
      let over = false;
      const query = after === undefined ? (source.query ?? {}) : { ...source.query, after };
      const quiet = setTimeout(() => change({ loading: false, error: null }), 1000);
      try {
        await follow(source.stream, query, stop.signal, (events) => {
          for (const event of events) {
            if (event.name === "end") over = true;
            if (event.name !== "line") continue;
            const line = JSON.parse(event.data) as T;
            after = line.seq;
            gathered.push(line);
          }
        });
      } finally {
        clearTimeout(quiet);
      }
      return over;
    };
    void (async () => {
      while (!stop.signal.aborted) {
        try {
          if (await read()) {
            change({ loading: false, ended: true });
            return;
          }
        } catch (error) {
          change({ loading: false, error });
          if (error instanceof ApiError && error.status >= 400 && error.status < 500) return;
        }
        await new Promise((next) => setTimeout(next, AGAIN_MS));
      }
    })();
    return () => {
      stop.abort();
      clearInterval(flush);
    };
    // `source` is told apart by its key.
  }, [key]);
  return tail.key === key ? tail : { ...NOTHING };
}
