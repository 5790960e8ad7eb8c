import { Button, PasswordInput, Stack, TextInput } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { useState, type FormEvent, type ReactNode } from "react";
import { send } from "../api/client";
import { Refused } from "../parts/Refused";

interface Props {
  /** Who it must be; anybody where it is not said. */
  email?: string | undefined;
  onDone: () => void;
  /** Words above and below the fields. */
  head: ReactNode;
  foot: ReactNode;
}

export function SignInForm({ email: only, onDone, head, foot }: Props) {
  const [email, setEmail] = useState(only ?? "");
  const [password, setPassword] = useState("");
  const login = useMutation({
    mutationFn: () => send("/login", { method: "POST", json: { email, password } }),
    onSuccess: onDone,
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    login.mutate();
  };
  return (
    <form onSubmit={submit}>
      <Stack>
        {head}
        <TextInput
          label="E-mail"
          type="email"
          autoComplete="username"
          required
          readOnly={only !== undefined}
          value={email}
          onChange={(event) => setEmail(event.currentTarget.value)}
        />
        <PasswordInput
          label="Password"
          autoComplete="current-password"
          required
          data-autofocus={only !== undefined || undefined}
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <Refused error={login.error} title="Not signed in" />
        <Button type="submit" loading={login.isPending}>
          Sign in
        </Button>
        {foot}
      </Stack>
    </form>
  );
}
