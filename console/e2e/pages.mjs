// Every page of the console, by the ids of what was seeded.

/** Name, address, and what is done before the picture is taken. */
export function pages({ agents, tasks, runs, long }) {
  return [
    ["start", "/start"],
    ["agents", "/agents"],
    ["agents-picked", "/agents", pick("client-server", "training-pc")],
    ["agents-restart", "/agents", async (page) => {
      await pick("client-server", "training-pc")(page);
      await page.getByRole("button", { name: "Restart" }).first().click();
      await page.getByText("big-export").first().waitFor();
    }],
    ["agents-views", "/agents?status=offline", (page) => page.getByRole("button", { name: "Offline ones" }).click()],
    ["agents-inactive", "/agents?inactive=true"],
    ["agents-empty", "/agents?search=nothing%20like%20this"],
    ["agents-add", "/agents", (page) => page.getByRole("button", { name: "Add", exact: true }).click()],
    ["agent", `/agents/${agents["client-server"]}`],
    ["agent-offline", `/agents/${agents[long]}`],
    ["agent-new", `/agents/${agents["plant-north"]}`],
    ["agent-log", `/agents/${agents["training-pc"]}/log`],
    ["agent-log-errors", `/agents/${agents["training-pc"]}/log`, async (page) => {
      await page.getByRole("button", { name: "Jump to the next error" }).click();
      // Its tooltip would lie over what is looked at.
      await page.mouse.move(0, 0);
      await page.evaluate(() => document.activeElement.blur());
      await page.getByRole("tooltip").waitFor({ state: "detached" });
    }],
    ["connections", "/connections"],
    ["tasks", "/tasks"],
    ["task", `/tasks/${tasks["copy-orders"]}`],
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
    ["connectors", "/connectors"],
    ["licences", "/licences"],
    ["users", "/users"],
    ["users-token", "/users", (page) => page.getByRole("button", { name: "Add a token" }).click()],
    ["notifications", "/notifications"],
    ["notifications-told", "/notifications?view=deliveries"],
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
