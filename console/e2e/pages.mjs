// Every page of the console, by the ids of what was seeded.

/** Name, address, what is done before the picture is taken, and what undoes it. */
export function pages({ agents, connections, tasks, runs, channel, long }) {
  return [
    ["start", "/start"],
    ["agents", "/agents"],
    ["agents-picked", "/agents", pick("client-server", "training-pc")],
    ["agents-restart", "/agents", async (page) => {
      await pick("client-server", "training-pc")(page);
      await page.getByRole("button", { name: "Restart" }).first().click();
      await page.getByText("big-export").first().waitFor();
    }],
    ["agents-update", "/agents", async (page) => {
      await pick("client-server", "training-pc")(page);
      await page.getByRole("button", { name: "Update" }).first().click();
      await page.getByText("big-export").first().waitFor();
    }],
    ["agents-interrupted", "/agents", async (page) => {
      await page.route("**/api/v1/**", (route) => route.abort());
      await page.getByText("Live updates interrupted").waitFor();
    }, (page) => page.unroute("**/api/v1/**")],
    ["agents-failed", "/agents", async (page) => {
      await page.route("**/api/v1/agents?**", (route) => route.fulfill({ status: 503, json: { code: "unavailable", detail: "the server has no room left on its disk; make room, it goes on by itself" } }));
      await page.reload();
      await page.getByText("cannot be shown").waitFor();
    }, (page) => page.unroute("**/api/v1/agents?**")],
    ["navigation", "/agents", async (page) => {
      const menu = page.getByRole("button", { name: "Navigation" });
      if (await menu.isVisible()) await menu.click();
    }],
    ["agents-views", "/agents?status=offline", (page) => page.getByRole("button", { name: "Offline ones" }).click()],
    ["agents-inactive", "/agents?inactive=true"],
    ["agents-empty", "/agents?search=nothing%20like%20this"],
    ["agents-add", "/agents", (page) => page.getByRole("button", { name: "Add", exact: true }).click()],
    ["agent", `/agents/${agents["client-server"]}`],
    ["agent-offline", `/agents/${agents[long]}`],
    ["agent-new", `/agents/${agents["plant-north"]}`],
    ["agent-doctor", `/agents/${agents["client-server"]}?tab=doctor`, async (page) => {
      await page.getByRole("button", { name: "Examine", exact: true }).click();
      await page.getByRole("list", { name: "Findings" }).waitFor();
      // Under the mouse the button has other colours, and they change by and by.
      await page.mouse.move(0, 0);
      await page.waitForFunction(() => document.getAnimations().every((animation) => animation.playState !== "running"));
    }],
    ["agent-crashes", `/agents/${agents["client-server"]}?tab=crashes`],
    ["agent-log", `/agents/${agents["training-pc"]}/log`],
    ["agent-log-errors", `/agents/${agents["training-pc"]}/log`, async (page) => {
      await page.getByRole("button", { name: "Jump to the next error" }).click();
      // Its tooltip would lie over what is looked at.
      await page.mouse.move(0, 0);
      await page.evaluate(() => document.activeElement.blur());
      await page.getByRole("tooltip").waitFor({ state: "detached" });
    }],
    ["connections", "/connections"],
    ["connection", `/connections/${connections["client-db"]}?test=true`, said("Every stage passed")],
    ["connection-failed", `/connections/${connections.reporting}?test=true`, said(/Failed at/)],
    ["connection-test", "/connections", async (page) => {
      await page.getByRole("button", { name: "Test reporting" }).click();
      await said(/Failed at/)(page);
    }],
    ["new-connection", "/new-connection", (page) => page.getByRole("radio", { name: "PostgreSQL" }).click()],
    ["tasks", "/tasks"],
    ["task", `/tasks/${tasks["copy-orders"]}`],
    ["task-step", `/tasks/${tasks["copy-orders"]}?step=large`],
    ["task-triggers", `/tasks/${tasks["copy-orders"]}?tab=triggers`],
    ["task-preview", `/tasks/${tasks["copy-orders"]}?step=orders`, async (page) => {
      await page.getByRole("button", { name: "Show the first rows" }).click();
      await page.getByRole("cell", { name: "customer 1", exact: true }).first().waitFor();
    }],
    ["task-start", `/tasks/${tasks["copy-orders"]}`, (page) => page.getByRole("button", { name: "Start", exact: true }).click()],
    ["task-versions", `/tasks/${tasks["copy-orders"]}/versions`],
    ["new-task", "/new-task"],
    ["runs", "/runs"],
    ["runs-empty", "/runs?state=timed_out"],
    ["run-succeeded", `/runs/${runs.succeeded}`],
    ["run-failed", `/runs/${runs.failed}`],
    ["run-waiting", `/runs/${runs.waiting}`],
    ["run-running", `/runs/${runs.running}?view=graph`],
    ["run-cancel", `/runs/${runs.running}`, (page) => page.getByRole("button", { name: "Cancel", exact: true }).click()],
    ["run-cancelled", `/runs/${runs.cancelled}`],
    ["triggers", "/triggers"],
    ["triggers-address", "/triggers", async (page) => {
      await page.getByRole("button", { name: "Address of shop" }).click();
      await page.getByRole("button", { name: /^Make (the|a new) address/ }).click();
      await page.getByRole("button", { name: "Copy the call" }).waitFor();
    }],
    ["connectors", "/connectors"],
    ["licences", "/licences"],
    ["users", "/users"],
    ["users-token", "/users", (page) => page.getByRole("button", { name: "Add a token" }).click()],
    ["notifications", "/notifications"],
    ["notifications-told", "/notifications?view=deliveries"],
    ["channel", `/notifications/${channel}`],
    ["new-channel", "/new-channel"],
    ["variables", "/variables"],
    ["limits", "/limits"],
    ["limits-set", "/limits", (page) => page.getByRole("button", { name: "Set a limit" }).click()],
    ["audit", "/audit"],
    ["health", "/health"],
    ["search", "/agents", async (page) => {
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: "Search" }).fill("or");
      await page.getByRole("option", { name: /copy-orders/ }).first().waitFor();
    }],
    ["not-found", "/no/such/page"],
  ];
}

export const pick = (...names) => async (page) => {
  for (const name of names) await page.getByRole("checkbox", { name: `Pick ${name}`, exact: true }).check();
};

const said = (text) => (page) => page.getByText(text).first().waitFor();
