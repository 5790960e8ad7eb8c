import { Anchor, Center, Stack, Text, Title } from "@mantine/core";
import { Link } from "@tanstack/react-router";

export function NotFound() {
  return (
    <Center h="60vh" component="main">
      <Stack align="center" gap="xs">
        <Title order={1} size="h3">
          There is nothing at this address
        </Title>
        <Text c="dimmed">It may have been typed wrong, or what it showed is gone.</Text>
        <Anchor component={Link} to="/agents">
          Go to the agents
        </Anchor>
      </Stack>
    </Center>
  );
}
