// States by colour, sign and word.

import { Badge } from "@mantine/core";
import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleMinus,
  IconCircleX,
  IconClock,
  IconHourglass,
  IconPlayerPlay,
  IconPlugConnected,
  IconPlugConnectedX,
  IconProgressHelp,
  type Icon,
} from "@tabler/icons-react";
import type { Agent } from "../api/types";
import { useLive } from "../shell/live";
import { words } from "./format";

type Look = [color: string, icon: Icon];

const STATES: Record<string, Look> = {
  scheduled: ["gray", IconClock],
  waiting_for_agent: ["yellow", IconHourglass],
  running: ["blue", IconPlayerPlay],
  retrying: ["orange", IconHourglass],
  succeeded: ["green", IconCircleCheck],
  no_data: ["teal", IconCircleMinus],
  finished_with_errors: ["orange", IconAlertTriangle],
  failed: ["red", IconCircleX],
  timed_out: ["red", IconHourglass],
  cancelled: ["gray", IconCircleX],
  skipped: ["gray", IconCircleMinus],
};

const UNKNOWN: Look = ["gray", IconProgressHelp];

function Sign({ look: [color, Icon], text }: { look: Look; text: string }) {
  return (
    <Badge variant="light" color={color} leftSection={<Icon size={13} aria-hidden />} tt="none" autoContrast>
      {text}
    </Badge>
  );
}

/** A run's or step's state. */
export function StateBadge({ state }: { state: string }) {
  return <Sign look={STATES[state] ?? UNKNOWN} text={words(state)} />;
}

/** Whether an agent is online. What was online before the connection broke is unknown, not green. */
export function AgentBadge({ agent }: { agent: Pick<Agent, "status" | "active"> }) {
  const { interrupted } = useLive();
  if (!agent.active) return <Sign look={["gray", IconCircleMinus]} text="Inactive" />;
  if (interrupted) return <Sign look={UNKNOWN} text="Unknown" />;
  if (agent.status === "online") return <Sign look={["green", IconPlugConnected]} text="Online" />;
  return <Sign look={["gray", IconPlugConnectedX]} text="Offline" />;
}
