// What is edited on a page of its own: a draft of what is kept, saved under the version that it is based on.

import { useMutation, useQueryClient, type FetchQueryOptions, type QueryKey } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { ApiError, get } from "../api/client";
import { told } from "./toast";
import { useUnsaved } from "./unsaved";

interface How<Kept, Draft, Key extends QueryKey> {
  /** What it is, with a capital. */
  what: string;
  /** Where it is asked for; without an id, where one is added. */
  at: (id?: string) => string;
  one: (id: string) => Pick<FetchQueryOptions<Kept, Error, Kept, Key>, "queryKey" | "queryFn">;
  /** The lists that it stands in. */
  listed: QueryKey;
  draftOf: (kept?: Kept) => Draft;
  bodyOf: (draft: Draft) => unknown;
  onSaved: (next: Kept, test: boolean) => void;
}

export type Edited = ReturnType<typeof useEdited<{ id: string; name: string; version: number }, object, QueryKey>>;

export function useEdited<Kept extends { id: string; name: string; version: number }, Draft extends object, Key extends QueryKey>(kept: Kept | undefined, how: How<Kept, Draft, Key>) {
  // What the edit is based on; somebody else's newer one must not be overwritten unseen.
  const [base, setBase] = useState(kept);
  const [draft, setDraft] = useState<Draft>(() => how.draftOf(kept));
  const [changed, setChanged] = useState(false);
  const saved = useUnsaved(changed);
  const cache = useQueryClient();
  const take = (next: Kept) => {
    setBase(next);
    setDraft(how.draftOf(next));
    setChanged(false);
  };
  const edit = (next: Partial<Draft>) => {
    saved.current = false;
    setChanged(true);
    setDraft((now) => ({ ...now, ...next }));
  };
  const save = useMutation({
    mutationFn: (_: { test: boolean }) => {
      const json = how.bodyOf(draft);
      return base ? get<Kept>(how.at(base.id), { method: "PUT", json, version: base.version }) : get<Kept>(how.at(), { method: "POST", json });
    },
    onSuccess: (next, { test }) => {
      told(base ? `${how.what} ${next.name} is saved` : `${how.what} ${next.name} is added`);
      saved.current = true;
      take(next);
      cache.setQueryData<Kept>(how.one(next.id).queryKey, next);
      void cache.invalidateQueries({ queryKey: how.listed });
      how.onSaved(next, test);
    },
  });
  const refused = save.error instanceof ApiError ? save.error : null;
  return {
    base,
    draft,
    edit,
    problems: refused?.problems ?? [],
    nameTaken: refused?.code === "name_taken" ? refused.message : undefined,
    overtaken: refused?.code === "changed_meanwhile" && base !== undefined,
    error: save.error,
    sending: save.isPending ? save.variables : null,
    idle: save.isPending || (base !== undefined && !changed),
    save: (test: boolean) => save.mutate({ test }),
    submit: (event: FormEvent) => {
      event.preventDefault();
      save.mutate({ test: false });
    },
    /** Takes what somebody else has saved meanwhile. */
    reload: () => {
      if (!base) return;
      save.reset();
      void cache.fetchQuery({ ...how.one(base.id), staleTime: 0 }).then(take);
    },
  };
}
