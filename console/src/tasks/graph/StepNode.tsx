// A step in the picture.

import { Text, Tooltip } from "@mantine/core";
import { IconAlertTriangle, IconRobot } from "@tabler/icons-react";
import { Handle, Position, type Node, type NodeProps } from "@xyflow/react";
import { ConnectorIcon } from "../../parts/ConnectorIcon";

export type StepNode = Node<
  {
    name: string;
    kind: string;
    /** "Reads from client-db" */
    does: string;
    agent: string | undefined;
    active: boolean;
    problems: string[];
    takesRows: boolean;
    givesRows: boolean;
  },
  "step"
>;

export function StepNodeView({ data, selected }: NodeProps<StepNode>) {
  const { name, kind, does, agent, active, problems, takesRows, givesRows } = data;
  return (
    <div className="step-node" data-selected={selected || undefined} data-wrong={problems.length > 0 || undefined} data-inactive={!active || undefined}>
      {takesRows && <Handle type="target" id="rows" position={Position.Left} title="Rows come in here" />}
      <Handle type="target" id="order" position={Position.Top} title="Starts after" />
      <div className="step-icon">
        <ConnectorIcon kind={kind} size={22} />
      </div>
      <div className="step-words">
        <Text size="sm" fw={600} truncate title={name}>
          {name || "(no name)"}
        </Text>
        <Text size="xs" c="dimmed" truncate title={does}>
          {does}
        </Text>
        <Text size="xs" c="dimmed" truncate title={agent}>
          {!active ? (
            "Inactive"
          ) : agent ? (
            <>
              <IconRobot size={12} aria-hidden style={{ verticalAlign: "-2px" }} /> {agent}
            </>
          ) : kind === "task" ? (
            ""
          ) : (
            "No agent yet"
          )}
        </Text>
      </div>
      {problems.length > 0 && (
        <Tooltip label={problems.join("\n")} multiline maw={320} style={{ whiteSpace: "pre-line" }}>
          <span className="step-wrong" role="img" aria-label={problems.length === 1 ? "One problem" : `${problems.length} problems`}>
            <IconAlertTriangle size={16} aria-hidden />
          </span>
        </Tooltip>
      )}
      {givesRows && <Handle type="source" id="rows" position={Position.Right} title="Rows go out here" />}
      <Handle type="source" id="order" position={Position.Bottom} title="What starts after it" />
    </div>
  );
}
