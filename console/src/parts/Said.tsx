// What the server or an agent said, as a sentence with the `names` in it set apart.

import { sentence } from "./format";
import { Words } from "./schema/Words";

export function Said({ text }: { text: string }) {
  return <Words text={sentence(text)} />;
}
