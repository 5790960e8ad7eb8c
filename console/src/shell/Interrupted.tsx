import { Alert } from "@mantine/core";
import { IconCloudOff } from "@tabler/icons-react";
import { clock } from "../parts/format";
import { useLive } from "./live";
import { useZone } from "./settings";

/** Says that the page is no longer fresh, and since when. */
export function Interrupted() {
  const { interrupted, asOf } = useLive();
  const [zone] = useZone();
  if (!interrupted) return null;
  const since = asOf ? `, data as of ${clock(asOf, zone)}` : "";
  return (
    <Alert color="orange" icon={<IconCloudOff />} mb="md" role="status" title={`Live updates interrupted${since}`}>
      The server does not answer. It is asked again every few seconds.
    </Alert>
  );
}
