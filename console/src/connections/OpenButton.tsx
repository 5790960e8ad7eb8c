// The way to a web page behind an agent: in a window of its own, whose address is its credential.

import { Button } from "@mantine/core";
import { IconExternalLink } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { get, path } from "../api/client";
import type { Address, Connection } from "../api/types";
import { failed } from "../parts/toast";

export function OpenButton({ connection }: { connection: Connection }) {
  const open = useMutation({
    mutationFn: () => get<Address>(path`/connections/${connection.id}/view`, { method: "POST" }),
    onSuccess: ({ url }) => void window.open(url, "_blank", "noopener"),
    onError: (error) => failed("The service cannot be opened", error),
  });
  return (
    <Button variant="default" leftSection={<IconExternalLink size={16} />} loading={open.isPending} onClick={() => open.mutate()}>
      Open
    </Button>
  );
}
