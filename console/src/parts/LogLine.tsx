import { memo } from "react";
import { absolute, clock } from "./format";
import type { Line } from "./tail";

interface Props {
  line: Line;
  source: string;
  zone: string;
  /** Marks it; nothing where lines have no address. */
  onMark?: (() => void) | undefined;
}

/** One line. Drawn anew only when it is another one: formatting its time costs more than drawing it. */
export const LogLine = memo(
  function LogLine({ line, source, zone, onMark }: Props) {
    const at = new Date(line.at);
    const exact = absolute(at, zone);
    return (
      <>
        {onMark ? (
          <button type="button" className="log-time" tabIndex={-1} title={`${exact}: mark this line`} onClick={onMark}>
            {clock(at, zone, true)}
          </button>
        ) : (
          <span className="log-time" title={exact}>
            {clock(at, zone, true)}
          </span>
        )}
        <span className="log-level" data-level={line.level}>
          {line.level}
        </span>
        <span className="log-source">{source}</span>
        <span>{line.message}</span>
      </>
    );
  },
  (before, now) => before.line === now.line && before.zone === now.zone && before.onMark === undefined && now.onMark === undefined,
);
