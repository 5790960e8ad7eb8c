import { path } from "../api/client";
import type { Connection } from "../api/types";
import type { Tried } from "../parts/Trial";

/** A connection as it is saved, tried by its agent. */
export function tried({ name, id, version, agents }: Connection): Tried {
  return { name, address: path`/connections/${id}`, version, trying: `Agent ${agents.join(" or ")} tries it, stage by stage` };
}
