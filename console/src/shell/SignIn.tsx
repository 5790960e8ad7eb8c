// The way in.

import { Button, Center, Group, Paper, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import { send } from "../api/client";
import { Refused } from "../parts/Refused";
import { forgetEnvironment } from "./settings";

const route = getRouteApi("/sign-in");

export function SignIn() {
  useDocumentTitle("Sign in - Sallyport");
  const { to } = route.useSearch();
  const router = useRouter();
  const cache = useQueryClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const login = useMutation({
    mutationFn: () => send("/login", { method: "POST", json: { email, password } }),
    onSuccess: () => {
      cache.clear();
      forgetEnvironment();
      // Only addresses of this server: `//host` is another one.
      router.history.push(to && /^\/(?!\/)/.test(to) ? to : "/");
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    login.mutate();
  };
  return (
    <Center mih="100dvh" p="md">
      <Paper withBorder p="xl" w={400} maw="100%" component="main">
        <form onSubmit={submit}>
          <Stack>
            <Group gap="sm">
              <img src="/icon.svg" alt="" width={32} height={32} />
              <Title order={1} size="h3">
                Sign in to Sallyport
              </Title>
            </Group>
            <TextInput
              label="E-mail"
              type="email"
              autoComplete="username"
              required
              value={email}
              onChange={(event) => setEmail(event.currentTarget.value)}
            />
            <PasswordInput
              label="Password"
              autoComplete="current-password"
              required
              value={password}
              onChange={(event) => setPassword(event.currentTarget.value)}
            />
            <Refused error={login.error} title="Not signed in" />
            <Button type="submit" loading={login.isPending}>
              Sign in
            </Button>
            <Text size="sm" c="dimmed">
              First start? The server printed a link that sets the administrator's password.
            </Text>
          </Stack>
        </form>
      </Paper>
    </Center>
  );
}
