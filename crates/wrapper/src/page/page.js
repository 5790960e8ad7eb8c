"use strict";

const part = (id) => document.getElementById(id);

async function ask(path, method) {
  const answer = await fetch(path, { method: method || "GET" });
  if (!answer.ok) throw new Error((await answer.text()).trim() || `the page answered ${answer.status}`);
  return answer;
}

function say(text, bad) {
  part("note").textContent = text;
  part("note").className = bad ? "bad" : "";
}

function fact(list, name, text, tone) {
  const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  detail.textContent = text;
  if (tone) detail.className = tone;
  list.append(term, detail);
}

function agentText(agent) {
  switch (agent.state.state) {
    case "running": return [`running, process ${agent.state.process_id}`, "good"];
    case "starting": return ["starting", "warning"];
    case "ending": return ["ending", "warning"];
    case "waiting": return ["down, started again soon", "bad"];
    default: return ["stopped", "bad"];
  }
}

async function showStatus() {
  const shown = await (await ask("/api/status")).json();
  part("home").textContent = `${shown.home}, version ${shown.version}`;
  const list = document.createDocumentFragment();
  const status = shown.status;
  if (!shown.running) {
    fact(list, "Wrapper", "nothing runs from this folder", "bad");
  } else if (!status) {
    fact(list, "Wrapper", "runs, but its status cannot be read", "warning");
  } else {
    fact(list, "Wrapper", `${status.wrapper.version}, process ${status.wrapper.process_id}`, "good");
    fact(list, "Agent", ...agentText(status.agent));
    if (status.agent.restarts > 0) fact(list, "Restarts", String(status.agent.restarts));
    const server = status.server;
    const name = server.name ? ` as "${server.name}"` : "";
    if (server.online) fact(list, "Server", `online${name} at ${server.address}`, "good");
    else fact(list, "Server", server.problem ? `offline: ${server.problem}` : `connecting to ${server.address}`, "bad");
    if (status.last_crash) fact(list, "Last crash", `logs/${status.last_crash}`, "bad");
    if (status.update && status.update.text) fact(list, "Updates", status.update.text);
  }
  part("status").replaceChildren(list);
  part("restart").disabled = !shown.running;
}

let service = {};

function showService(shown) {
  service = shown;
  const installs = shown.word === "install";
  const state = installs ? "This folder is no service: it runs until somebody ends it." : `This folder is the service ${shown.name}.`;
  const why = shown.hindrance ? ` The page may not change that: ${shown.hindrance}.` : "";
  part("service-text").textContent = state + why;
  part("service").hidden = Boolean(shown.hindrance);
  part("service").textContent = installs ? "Install the service" : "Remove the service";
  part("service-command").hidden = !shown.hindrance;
  part("service-command").textContent = shown.command;
}

async function changeService() {
  if (service.word === "uninstall" && !confirm("Stop and remove the service? What its agent does is cancelled.")) {
    throw new Error("Nothing was changed.");
  }
  showService(await (await ask(`/api/service/${service.word}`, "POST")).json());
}

async function showLog() {
  const query = `program=${part("program").value}&level=${part("level").value}`;
  const { lines } = await (await ask(`/api/log?${query}`)).json();
  const text = document.createDocumentFragment();
  for (const line of lines) {
    const row = document.createElement("span");
    if (line.level) row.className = line.level;
    row.textContent = `${line.text}\n`;
    text.append(row);
  }
  const log = part("log");
  const from = log.scrollTop;
  log.replaceChildren(text);
  log.scrollTop = part("follow").checked ? log.scrollHeight : from;
}

function showFindings(examination) {
  const rows = examination.findings.map((finding) => {
    const row = document.createElement("tr");
    const [check, verdict, seen] = [0, 0, 0].map(() => row.insertCell());
    check.textContent = finding.check;
    verdict.textContent = finding.verdict;
    verdict.className = finding.verdict;
    seen.textContent = finding.seen;
    if (finding.advice) {
      const advice = document.createElement("p");
      advice.textContent = finding.advice;
      seen.append(advice);
    }
    return row;
  });
  part("findings").replaceChildren(...rows);
  part("findings-part").hidden = false;
}

async function save() {
  const blob = await (await ask("/api/bundle", "POST")).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = "sallyport-bundle.zip";
  link.click();
  URL.revokeObjectURL(link.href);
}

function button(id, doing, work, done) {
  part(id).addEventListener("click", async () => {
    part(id).disabled = true;
    say(doing);
    try {
      await work();
      say(done);
    } catch (error) {
      say(error.message, true);
    }
    part(id).disabled = false;
  });
}

button("restart", "Asking for a restart...", () => ask("/api/restart", "POST"), "A restart was asked for.");
button("doctor", "Looking at everything; this takes a few seconds...",
  async () => showFindings(await (await ask("/api/doctor", "POST")).json()), "");
button("service", "Asking the service manager; this may take a minute...", changeService, "Done.");
button("bundle", "Gathering; this takes a few seconds...", save, "The bundle is saved; it holds no secrets.");
part("program").addEventListener("change", showLog);
part("level").addEventListener("change", showLog);

async function look() {
  try {
    await showStatus();
    if (part("follow").checked) await showLog();
  } catch (error) {
    say(`${error.message}. Does the page still run?`, true);
  }
  setTimeout(look, 2000);
}
look();
ask("/api/service").then(async (answer) => showService(await answer.json())).catch((error) => say(error.message, true));
