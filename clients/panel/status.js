// SPDX-License-Identifier: GPL-2.0-or-later
// The page Status: load, media, processes, and how they went since the panel was opened.

import { duration, h, keyed, setText } from "./dom.js";

const EVERY_MS = 2000;
const KEPT = 900; // half an hour

// The counters of all media processes as one: amounts added up, of the lateness the worst.
export function together(processes) {
  const all = {};
  for (const counters of processes) {
    for (const [name, value] of Object.entries(counters)) {
      all[name] = name.startsWith("tick_lateness") ? Math.max(all[name] ?? 0, value) : (all[name] ?? 0) + value;
    }
  }
  return all;
}

export class History {
  // Samples in the background, so that the plots have something to show.
  constructor(panel) {
    this.panel = panel;
    this.times = [];
    this.series = { calls: [], cps: [], p99: [], p999: [], loss: [] };
    this.latest = {};
    setInterval(() => this.sample(), EVERY_MS);
  }

  forget() {
    for (const values of [this.times, ...Object.values(this.series)]) values.length = 0;
    this.latest = {};
  }

  async sample() {
    const { rpc } = this.panel;
    if (rpc.state !== "online" || document.hidden || this.busy) return;
    this.busy = true;
    const ask = (method) => (rpc.may(method) ? rpc.call(method).catch(() => null) : null);
    const [statistics, processes] = await Promise.all([ask("core.statistics"), ask("status.media")]);
    this.busy = false;
    if (rpc.state !== "online") return; // what somebody else may see was asked for
    const media = together(processes ?? []);
    Object.assign(this.latest, { statistics, media });
    const loss = media.packets_expected ? 100 * media.packets_lost / media.packets_expected : 0;
    this.latest.loss = loss;
    this.times.push(Date.now() / 1000);
    this.series.calls.push(statistics?.calls ?? null);
    this.series.cps.push(statistics?.cps ?? null);
    this.series.p99.push(media.tick_lateness_p99_us === undefined ? null : media.tick_lateness_p99_us / 1000);
    this.series.p999.push(media.tick_lateness_p999_us === undefined ? null : media.tick_lateness_p999_us / 1000);
    this.series.loss.push(media.packets_expected === undefined ? null : loss);
    for (const values of [this.times, ...Object.values(this.series)]) if (values.length > KEPT) values.shift();
    this.panel.schedule();
  }
}

const number = (value, digits = 0) => (value === undefined || value === null ? "–" :
  Number(value).toLocaleString(undefined, { maximumFractionDigits: digits, minimumFractionDigits: digits }));
const ms = (us) => (us === undefined ? "–" : `${number(us / 1000, 2)} ms`);

export class StatusPage {
  constructor(panel) {
    this.panel = panel;
    this.health = h("p", { class: "health", role: "status" });
    this.tiles = h("dl", { class: "tiles" });
    this.plots = h("div", { class: "plots" });
    this.rows = h("tbody");
    this.version = h("p", { class: "found" });
    this.processes = [];
    this.root = h("section", { "aria-label": "Status" }, this.health, this.tiles, this.plots,
      h("h2", {}, "Processes"), h("table", { class: "processes" },
        h("thead", {}, h("tr", {}, ...["Process", "Pid", "Up for", "Restarts", "CPU so far", "Memory"].map((title) => h("th", { scope: "col" }, title)))), this.rows),
      this.version, h("p", { class: "found" }, h("a", { href: "/metrics" }, "metrics"), " · ", h("a", { href: "/openrpc.json" }, "all functions"), " · ", h("a", { href: "/readyz" }, "readiness")));
  }

  async open() {
    this.close(); // it is opened again whenever the connection comes back
    this.timer = setInterval(() => this.look(), EVERY_MS);
    this.look();
    const { Plot } = await import("./plot.js");
    if (this.drawn) return;
    const { series, times } = this.panel.history;
    this.drawn = [
      new Plot("Calls", times, [["calls", series.calls], ["new per second", series.cps]]),
      new Plot("Lateness of the media tick (ms)", times, [["99 of 100 ticks", series.p99], ["999 of 1000", series.p999]]),
      new Plot("RTP lost, of the calls now (%)", times, [["lost", series.loss]]),
    ];
    this.plots.append(...this.drawn.map((plot) => plot.root));
    this.update();
  }

  close() {
    clearInterval(this.timer);
  }

  async look() {
    const { rpc } = this.panel;
    const ask = (method) => (rpc.may(method) ? rpc.call(method).catch(() => null) : null);
    const loaded = this.overview?.plugins.includes("callgen");
    const [overview, processes, generator] = await Promise.all([ask("status.overview"), ask("status.processes"), loaded ? ask("callgen.status") : null]);
    this.generator = generator;
    this.overview = overview;
    this.processes = processes ?? [];
    this.update();
  }

  update() {
    const { statistics, media, loss } = this.panel.history.latest;
    const problems = Object.values(this.overview?.problems ?? {});
    setText(this.health, !this.overview ? "Loading …" : problems.length ? `New calls are not taken: ${problems.join("; ")}` : "New calls are taken.");
    this.health.classList.toggle("bad", problems.length > 0);
    const limit = statistics?.session_limit ? ` of ${number(statistics.session_limit)}` : "";
    const tiles = [
      ["Calls now", number(statistics?.calls) + limit], ["Calls per second", number(statistics?.cps)], ["Calls since the start", number(statistics?.sessions)],
      ["Rooms", number(statistics?.rooms)], ["Media legs", number(media?.legs)], ["RTP lost", media?.packets_expected === undefined ? "–" : `${number(loss, 2)} %`],
      ["Tick lateness p99", ms(media?.tick_lateness_p99_us)], ["Tick lateness p99.9", ms(media?.tick_lateness_p999_us)], ["Frames concealed", number(media?.frames_concealed)],
    ];
    const { active, target, scheduled, total } = this.generator ?? {};
    if (total || target || scheduled) tiles.push(["Generated calls", `${number(active)} of ${number(target || active + scheduled)}`]);
    keyed(this.tiles, tiles, ([name]) => name, ([name]) => h("div", {}, h("dt", {}, name), h("dd")), (node, [, text]) => setText(node.lastChild, text));
    keyed(this.rows, this.processes.map((process, place) => ({ ...process, place })), ({ role, place }) => `${place} ${role}`,
      () => h("tr", {}, h("th", { scope: "row" }), ...["Pid", "Up for", "Restarts", "CPU so far", "Memory"].map((title) => h("td", { "data-title": title }))),
      (node, { role, pid, uptime_s: uptime, restarts, cpu_s: cpu, memory_bytes: memory }) => {
        const texts = [role, pid ? String(pid) : "down", !pid ? "–" : uptime ? duration(uptime) : "starting", number(restarts), `${number(cpu, 1)} s`, `${number(memory / 1e6)} MB`];
        texts.forEach((text, place) => setText(node.children[place], text));
        node.classList.toggle("down", !pid);
      });
    setText(this.version, this.overview ? `${this.overview.signature}; modules: ${this.overview.plugins.join(", ")}` : "");
    for (const plot of this.drawn ?? []) plot.update();
  }
}
