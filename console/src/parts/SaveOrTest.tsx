// The end of a form on a page of its own: why it was not saved, and the ways to save it.

import { Button, Group } from "@mantine/core";
import { Overtaken } from "./Overtaken";
import { Refused } from "./Refused";
import type { Edited } from "./useEdited";

type Props = { what: string; edited: Pick<Edited, "nameTaken" | "overtaken" | "error" | "sending" | "idle" | "save" | "reload"> & { base?: unknown } };

export function SaveOrTest({ what, edited }: Props) {
  const verb = edited.base ? "Save" : "Add";
  return (
    <>
      {edited.overtaken ? <Overtaken what={what} onLoad={edited.reload} /> : !edited.nameTaken && <Refused error={edited.error} title="Not saved" />}
      <Group>
        <Button type="submit" loading={edited.sending?.test === false} disabled={edited.idle}>
          {verb}
        </Button>
        <Button variant="default" loading={edited.sending?.test === true} disabled={edited.idle} onClick={() => edited.save(true)}>
          {`${verb} and test`}
        </Button>
      </Group>
    </>
  );
}
