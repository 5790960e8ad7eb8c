// What can be put into a task: dragged to its place, or added with a click.

import { Text, UnstyledButton } from "@mantine/core";
import { ConnectorIcon } from "../../parts/ConnectorIcon";
import type { Piece } from "./pieces";

/** The type under which a piece is dragged. */
export const DRAGGED = "application/x-sallyport-step";

export function Palette({ pieces, onAdd }: { pieces: Piece[]; onAdd: (piece: Piece) => void }) {
  return (
    <div className="palette" role="group" aria-label="Steps to add">
      {(["Read", "Change", "Write"] as const).map((group) => (
        <div key={group} className="palette-group">
          <Text size="xs" fw={600} c="dimmed" px={6}>
            {group}
          </Text>
          {pieces
            .filter((piece) => piece.group === group)
            .map((piece) => (
              <UnstyledButton
                key={piece.id}
                className="piece"
                draggable
                aria-label={group === "Change" ? `Add ${piece.title}` : `Add ${group.toLowerCase()} ${piece.title}`}
                title="Drag it into the picture, or click"
                onDragStart={(event) => {
                  event.dataTransfer.setData(DRAGGED, piece.id);
                  event.dataTransfer.effectAllowed = "copy";
                }}
                onClick={() => onAdd(piece)}
              >
                <ConnectorIcon kind={piece.kind} size={16} />
                <Text size="sm" truncate>
                  {piece.title}
                </Text>
              </UnstyledButton>
            ))}
        </div>
      ))}
    </div>
  );
}
