// What is known of the server, and what happens when it says that nobody is logged in.

import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "./client";
import { forgetEnvironment } from "../shell/settings";

/** Told when the login has ended; the router sets it. */
let leave = () => {};

export function onSignedOut(then: () => void) {
  leave = then;
}

function watch(error: unknown) {
  if (!(error instanceof ApiError)) return;
  if (error.code === "not_logged_in") leave();
  // The chosen environment is gone, or belongs to another company's login.
  if (error.status === 404 && error.message.includes("environment `env_")) forgetEnvironment();
}

export const client = new QueryClient({
  queryCache: new QueryCache({ onError: watch }),
  mutationCache: new MutationCache({ onError: watch }),
  defaultOptions: {
    queries: {
      // What is watched is asked again anyway; a refusal stays one.
      retry: (failures, error) => error instanceof ApiError && error.status === 0 && failures < 1,
      retryDelay: 500,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

/** Something was taken away: lists that are not on the screen are asked for again, and never show it once more. */
export function forgetLists(of: string) {
  client.removeQueries({ queryKey: [of], type: "inactive" });
}
