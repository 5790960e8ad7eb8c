import { path } from "../api/client";
import type { Channel } from "../api/types";
import type { Tried } from "../parts/Trial";

/** A channel as it is saved, tried by the server. */
export function tried({ name, id, version }: Channel): Tried {
  return { name, address: path`/notifications/channels/${id}`, version, trying: "The server sends a test notice" };
}
