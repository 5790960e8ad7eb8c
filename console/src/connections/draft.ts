// A connection while it is written. Pure.

import type { Connection } from "../api/types";
import { given } from "../parts/schema/set";

export interface Draft {
  name: string;
  kind: string;
  /** Those that reach it, in order. */
  agents: string[];
  settings: Record<string, unknown>;
  /** A text replaces, null removes; what is not here stays. */
  secrets: Record<string, string | null>;
}

export function draftOf(connection: Connection | undefined): Draft {
  if (!connection) return { name: "", kind: "", agents: [], settings: {}, secrets: {} };
  const { name, kind, agents, settings } = connection;
  return { name, kind, agents, settings: settings as Record<string, unknown>, secrets: {} };
}

/** As the API takes it. */
export function bodyOf(draft: Draft): object {
  return { ...draft, secrets: given(draft.secrets) };
}
