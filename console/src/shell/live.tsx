// Whether what is on the screen is fresh.

import { useQuery } from "@tanstack/react-query";
import { countsQuery } from "../api/queries";

/** The counts are asked for on every page, so that they tell whether the server answers. */
export function useLive(): { interrupted: boolean; asOf: Date | null } {
  const counts = useQuery(countsQuery);
  return {
    interrupted: counts.isError || counts.failureCount > 0,
    asOf: counts.dataUpdatedAt > 0 ? new Date(counts.dataUpdatedAt) : null,
  };
}
