// The frame around every page.

import { Anchor, AppShell, Burger, Group, NavLink, ScrollArea, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { AgentStatus } from "./AgentStatus";
import { EnvironmentSwitch } from "./EnvironmentSwitch";
import { Find } from "./Find";
import { Interrupted } from "./Interrupted";
import { LicenceBanner } from "./LicenceBanner";
import { ADMINISTRATION, START, WORK, type PageLink } from "./pages";
import { PersonMenu } from "./PersonMenu";
import { SignInAgain } from "./SignInAgain";

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
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
          <Group gap="xs" wrap="nowrap">
            <Find />
            <PersonMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" component="nav" aria-label="Main">
        <AppShell.Section grow component={ScrollArea}>
          <Pages pages={WORK} close={close} />
          <Text size="xs" fw={600} c="dimmed" px="sm" pt="md" pb={4} id="administration">
            Administration
          </Text>
          <Pages pages={ADMINISTRATION} close={close} />
        </AppShell.Section>
        <AppShell.Section>
          <Pages pages={[START]} close={close} />
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main>
        <Interrupted />
        <LicenceBanner />
        <Outlet />
      </AppShell.Main>
      <SignInAgain />
      <AppShell.Footer>
        <AgentStatus />
      </AppShell.Footer>
    </AppShell>
  );
}

/** Pages on which something is made, and to which others they belong. */
const NEW: Record<string, string> = { "/new-task": "/tasks", "/new-connection": "/connections", "/new-channel": "/notifications" };

function Pages({ pages, close }: { pages: PageLink[]; close: () => void }) {
  const here = useRouterState({ select: (state) => state.location.pathname });
  return pages.map(({ to, label, Icon }) => {
    const active = here === to || here.startsWith(`${to}/`) || NEW[here] === to;
    return (
      <NavLink
        key={to}
        component={Link}
        to={to}
        label={label}
        leftSection={<Icon size={18} aria-hidden />}
        active={active}
        aria-current={active ? "page" : undefined}
        onClick={close}
        style={{ borderRadius: "var(--mantine-radius-md)" }}
      />
    );
  });
}
