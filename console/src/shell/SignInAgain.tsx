// Over a page with something that is written and not saved: signing in again loses none of it.

import { Modal, Text } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { meQuery } from "../api/queries";
import { SignInForm } from "./SignInForm";

let ended = false;
const listeners = new Set<() => void>();

function set(next: boolean) {
  ended = next;
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The login has ended. */
export const askAgain = () => {
  if (!ended) set(true);
};

export function SignInAgain() {
  const asks = useSyncExternalStore(subscribe, () => ended);
  const me = useQuery(meQuery).data;
  const cache = useQueryClient();
  const enter = () => {
    set(false);
    void cache.invalidateQueries();
  };
  return (
    <Modal opened={asks} onClose={() => {}} withCloseButton={false} closeOnEscape={false} closeOnClickOutside={false} title="Your login has ended">
      <SignInForm
        email={me?.user.email ?? undefined}
        onDone={enter}
        head={<Text size="sm">What you have written is still here. Sign in again to go on.</Text>}
        foot={null}
      />
    </Modal>
  );
}
