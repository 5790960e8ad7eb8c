// The frame around every page.

import { Anchor, AppShell, Burger, Group, NavLink, ScrollArea, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconListDetails, IconPlayerPlay, IconPlug, IconServer2 } from "@tabler/icons-react";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { AgentStatus } from "./AgentStatus";
import { EnvironmentSwitch } from "./EnvironmentSwitch";
import { Interrupted } from "./Interrupted";
import { LicenceBanner } from "./LicenceBanner";
import { PersonMenu } from "./PersonMenu";

const PAGES = [
  { to: "/agents", label: "Agents", Icon: IconServer2 },
  { to: "/connections", label: "Connections", Icon: IconPlug },
  { to: "/tasks", label: "Tasks", Icon: IconListDetails },
  { to: "/runs", label: "Runs", Icon: IconPlayerPlay },
] as const;

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const here = useRouterState({ select: (state) => state.location.pathname });
  return (
    <AppShell
      header={{ height: 52 }}
      footer={{ height: 40 }}
      navbar={{ width: 200, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding="md"
    >
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <Anchor component={Link} to="/agents" underline="never" c="inherit">
              <Group gap="xs" wrap="nowrap">
                <img src="/icon.svg" alt="" width={26} height={26} />
                <Text fw={700} size="lg">
                  Sallyport
                </Text>
              </Group>
            </Anchor>
            <EnvironmentSwitch />
          </Group>
          <PersonMenu />
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Main">
        <AppShell.Section grow component={ScrollArea}>
          {PAGES.map(({ to, label, Icon }) => (
            <NavLink
              key={to}
              component={Link}
              to={to}
              label={label}
              leftSection={<Icon size={18} aria-hidden />}
              active={here.startsWith(to) || (to === "/tasks" && here === "/new-task")}
              aria-current={here.startsWith(to) ? "page" : undefined}
              onClick={close}
              style={{ borderRadius: "var(--mantine-radius-md)" }}
            />
          ))}
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main>
        <Interrupted />
        <LicenceBanner />
        <Outlet />
      </AppShell.Main>
      <AppShell.Footer>
        <AgentStatus />
      </AppShell.Footer>
    </AppShell>
  );
}
