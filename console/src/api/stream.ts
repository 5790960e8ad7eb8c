// Lines as they are written: server-sent events, read with `fetch` because `EventSource` cannot name the environment.

import { send, type Query } from "./client";

export interface Event {
  name: string;
  data: string;
}

/** Takes events out of text that arrives in pieces. */
export class Events {
  private rest = "";

  push(piece: string): Event[] {
    const blocks = (this.rest + piece).split("\n\n");
    this.rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((event) => event.data !== "");
  }
}

function parse(block: string): Event {
  const event: Event = { name: "message", data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) event.name = line.slice(6).trim();
    if (line.startsWith("data:")) event.data += line.slice(5).trimStart();
  }
  return event;
}

/** Reads until the server ends the stream, the connection breaks, or `signal` says stop. */
export async function follow(to: string, query: Query, signal: AbortSignal, take: (events: Event[]) => void) {
  const response = await send(to, { query, signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const events = new Events();
  for (;;) {
    const piece = await reader?.read();
    if (!piece || piece.done) return;
    take(events.push(piece.value));
  }
}
