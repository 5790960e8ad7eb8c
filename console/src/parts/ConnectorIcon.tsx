// A picture for each kind of step.

import { IconArrowsTransferDown, IconDatabase, IconFileDatabase, IconFileSpreadsheet, IconPlug, IconSubtask, IconTerminal2, type Icon } from "@tabler/icons-react";

const ICONS: Record<string, Icon> = {
  postgres: IconDatabase,
  sqlite: IconFileDatabase,
  file: IconFileSpreadsheet,
  program: IconTerminal2,
  transform: IconArrowsTransferDown,
  task: IconSubtask,
};

export function ConnectorIcon({ kind, size = 18 }: { kind: string; size?: number }) {
  const Found = ICONS[kind] ?? IconPlug;
  return <Found size={size} aria-hidden stroke={1.7} />;
}
