// A run as a picture: steps in the order in which rows pass, with figures on the way.

import { Paper, ScrollArea, Text } from "@mantine/core";
import type { Run, StepRun } from "../api/types";
import { bytes, count } from "../parts/format";
import { StateBadge } from "../parts/StateBadge";
import { layout, newest, type Spot } from "./layout";

const WIDTH = 220;
const HEIGHT = 96;
const GAP_X = 132;
const GAP_Y = 28;
const EDGE = 8;

const left = (spot: Spot) => EDGE + spot.column * (WIDTH + GAP_X);
const top = (spot: Spot) => EDGE + spot.row * (HEIGHT + GAP_Y);

interface Edge {
  from: Spot;
  to: Spot;
  /** Whether rows pass, or one only waits for the other. */
  rows: boolean;
}

export function RunGraph({ run, pace }: { run: Run; pace: ReadonlyMap<string, number> }) {
  const spots = layout(newest(run.steps ?? []));
  const byName = new Map(spots.map((spot) => [spot.step.step, spot]));
  const edges = spots.flatMap((to) => {
    const lines = (names: string[], rows: boolean): Edge[] => names.flatMap((name) => (byName.has(name) ? { from: byName.get(name) as Spot, to, rows } : []));
    return [...lines(to.step.inputs, true), ...lines(to.step.after, false)];
  });
  const width = Math.max(...spots.map(left), 0) + WIDTH + EDGE;
  const height = Math.max(...spots.map(top), 0) + HEIGHT + EDGE;
  return (
    <ScrollArea type="auto" viewportProps={{ tabIndex: 0, role: "region", "aria-label": "Graph of the run" }}>
      <div className="graph" style={{ width, height }} role="list">
        <svg width={width} height={height} aria-hidden>
          {edges.map((edge) => (
            <path key={`${edge.from.step.step} ${edge.to.step.step}`} d={curve(edge)} className={edgeClass(edge)} />
          ))}
        </svg>
        {edges
          .filter((edge) => edge.rows)
          .map((edge) => (
            <EdgeLabel key={`${edge.from.step.step} ${edge.to.step.step}`} edge={edge} pace={pace} />
          ))}
        {spots.map((spot) => (
          <Node key={spot.step.step} spot={spot} />
        ))}
      </div>
    </ScrollArea>
  );
}

function ends({ from, to }: Edge) {
  return { x1: left(from) + WIDTH, y1: top(from) + HEIGHT / 2, x2: left(to), y2: top(to) + HEIGHT / 2 };
}

function curve(edge: Edge): string {
  const { x1, y1, x2, y2 } = ends(edge);
  const bend = Math.max(40, (x2 - x1) / 2);
  return `M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
}

function edgeClass({ from, to, rows }: Edge): string {
  const moving = from.step.state === "running" && to.step.state === "running";
  return ["graph-edge", rows ? "" : "graph-edge-after", moving ? "graph-edge-moving" : ""].join(" ").trim();
}

/** What passed, and how fast: now while it goes on, over the whole attempt afterwards. */
function EdgeLabel({ edge, pace }: { edge: Edge; pace: ReadonlyMap<string, number> }) {
  const { x1, y1, x2, y2 } = ends(edge);
  const { step } = edge.from;
  const rate = step.finished_at ? step.rows_per_second : (pace.get(step.step) ?? step.rows_per_second);
  if (!step.started_at) return null;
  return (
    <div className="graph-label" style={{ left: (x1 + x2) / 2, top: (y1 + y2) / 2 }}>
      <div>{count(step.rows_out)} rows</div>
      {rate != null && <div className="graph-rate">{count(rate)}/s</div>}
    </div>
  );
}

function Node({ spot }: { spot: Spot }) {
  const { step } = spot;
  return (
    <Paper withBorder p="xs" className="graph-node" role="listitem" style={{ left: left(spot), top: top(spot), width: WIDTH, height: HEIGHT }}>
      <Text size="sm" fw={600} truncate title={step.step}>
        {step.step}
      </Text>
      <Text size="xs" c="dimmed" truncate title={place(step)}>
        {place(step)}
      </Text>
      <StateBadge state={step.state} />
      <Text size="xs" c="dimmed" span ml="xs">
        {step.started_at ? bytes(step.bytes) : ""}
      </Text>
    </Paper>
  );
}

function place(step: StepRun): string {
  return [step.does, step.agent ? `on ${step.agent}` : null].filter(Boolean).join(" ") || "-";
}
