// The server's own figures, taken out of the OpenMetrics text that `/metrics` gives.

/** The plain figures by name; those with labels are added up. */
export function figures(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) continue;
    const parts = /^([a-z_]+)(?:\{[^}]*\})? ([0-9.e+-]+)$/i.exec(line.trim());
    if (!parts) continue;
    const name = (parts[1] ?? "").replace(/^sallyport_/, "");
    // What a histogram counts below each bound is no figure of its own.
    if (name.endsWith("_bucket")) continue;
    found.set(name, (found.get(name) ?? 0) + Number(parts[2]));
  }
  return found;
}
