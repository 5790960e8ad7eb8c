// What differs between two texts, line by line.

export type Row =
  | { kind: "same"; text: string; left: number; right: number }
  | { kind: "gone"; text: string; left: number }
  | { kind: "new"; text: string; right: number };

/** More pairs of lines are not compared one by one: all the old are gone then, all the new are new. */
const PAIRS_MAX = 4_000_000;

/** The shortest way from one list of lines to another. Numbers count from 0. */
export function lines(old: string[], next: string[]): Row[] {
  let head = 0;
  while (head < old.length && head < next.length && old[head] === next[head]) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < next.length - head && old[old.length - 1 - tail] === next[next.length - 1 - tail]) tail += 1;
  const same = (left: number, right: number): Row => ({ kind: "same", text: next[right] ?? "", left, right });
  const rows: Row[] = Array.from({ length: head }, (_, at) => same(at, at));
  const [a, b] = [old.length - head - tail, next.length - head - tail];
  const common = a * b > PAIRS_MAX ? () => 0 : table(old.slice(head, head + a), next.slice(head, head + b));
  let [left, right] = [0, 0];
  while (left < a || right < b) {
    const [i, j] = [head + left, head + right];
    if (left < a && right < b && a * b <= PAIRS_MAX && old[i] === next[j]) {
      rows.push(same(i, j));
      left += 1;
      right += 1;
    } else if (left < a && (right === b || common(left + 1, right) >= common(left, right + 1))) {
      rows.push({ kind: "gone", text: old[i] ?? "", left: i });
      left += 1;
    } else {
      rows.push({ kind: "new", text: next[j] ?? "", right: j });
      right += 1;
    }
  }
  for (let at = 0; at < tail; at += 1) rows.push(same(old.length - tail + at, next.length - tail + at));
  return rows;
}

/** How many lines two ends have in common, by where they begin. */
function table(old: string[], next: string[]): (left: number, right: number) => number {
  const width = next.length + 1;
  const cells = new Uint32Array((old.length + 1) * width);
  const at = (left: number, right: number) => cells[left * width + right] ?? 0;
  for (let left = old.length - 1; left >= 0; left -= 1) {
    for (let right = next.length - 1; right >= 0; right -= 1) {
      cells[left * width + right] = old[left] === next[right] ? at(left + 1, right + 1) + 1 : Math.max(at(left + 1, right), at(left, right + 1));
    }
  }
  return at;
}
