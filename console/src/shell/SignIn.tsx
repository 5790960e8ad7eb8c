// The way in.

import { Center, Group, Paper, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useRouter } from "@tanstack/react-router";
import { forgetEnvironment } from "./settings";
import { SignInForm } from "./SignInForm";

const route = getRouteApi("/sign-in");

export function SignIn() {
  useDocumentTitle("Sign in - Sallyport");
  const { to } = route.useSearch();
  const router = useRouter();
  const cache = useQueryClient();
  const enter = () => {
    cache.clear();
    forgetEnvironment();
    // Only addresses of this server: `//host` is another one.
    router.history.push(to && /^\/(?!\/)/.test(to) ? to : "/");
  };
  return (
    <Center mih="100dvh" p="md">
      <Paper withBorder p="xl" w={400} maw="100%" component="main">
        <SignInForm
          onDone={enter}
          head={
            <Group gap="sm">
              <img src="/icon.svg" alt="" width={32} height={32} />
              <Title order={1} size="h3">
                Sign in to Sallyport
              </Title>
            </Group>
          }
          foot={
            <Text size="sm" c="dimmed">
              First start? The server printed a link that sets the administrator's password.
            </Text>
          }
        />
      </Paper>
    </Center>
  );
}
