// Who is signed in, how the console looks, and the way out.

import { ActionIcon, Button, Group, Menu, Select, Text, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { IconLogout, IconMoon, IconSun, IconUserCircle } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { send } from "../api/client";
import { meQuery } from "../api/queries";
import { failed } from "../parts/toast";
import { localZone, useZone } from "./settings";

/** Safari and old browsers know no list of zones. */
const ZONES: string[] = Intl.supportedValuesOf?.("timeZone") ?? [];

export function PersonMenu() {
  const me = useQuery(meQuery).data;
  const [zone, setZone] = useZone();
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  const cache = useQueryClient();
  const navigate = useNavigate();
  const logout = useMutation({
    mutationFn: () => send("/logout", { method: "POST" }),
    onSuccess: async () => {
      await navigate({ to: "/sign-in", search: {} });
      cache.clear();
    },
    onError: (error) => failed("Not signed out", error),
  });
  const zones = [...new Set([localZone, "UTC", ...ZONES])];
  const change = dark ? "Use light colours" : "Use dark colours";
  return (
    <Group gap="xs" wrap="nowrap">
      <Tooltip label={change}>
        <ActionIcon variant="subtle" color="gray" size="lg" aria-label={change} onClick={() => setColorScheme(dark ? "light" : "dark")}>
          {dark ? <IconSun size={20} /> : <IconMoon size={20} />}
        </ActionIcon>
      </Tooltip>
      <Menu position="bottom-end" width={280} closeOnItemClick={false} trapFocus>
        <Menu.Target>
          <Button variant="subtle" color="gray" px="xs" leftSection={<IconUserCircle size={20} />} aria-label={`${me?.user.name ?? ""}: settings`}>
            <Text size="sm" truncate maw={160} visibleFrom="xs">
              {me?.user.name}
            </Text>
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>{me?.user.email}</Menu.Label>
          <Select
            label="Times are shown in"
            px="sm"
            pb="sm"
            searchable
            allowDeselect={false}
            data={zones.map((name) => ({ value: name, label: name === localZone ? `${name} (this computer)` : name }))}
            value={zone}
            onChange={(next) => next && setZone(next)}
            limit={50}
            comboboxProps={{ withinPortal: false }}
          />
          <Menu.Divider />
          <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => logout.mutate()}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </Group>
  );
}
