// SPDX-License-Identifier: GPL-2.0-or-later
// The page Recordings: what there is, newest first; hear it, save it, delete it.

import { duration, h, keyed, many, openDialog, setAttribute, setText } from "./dom.js";
import { person } from "./model.js";

const PAGE = 50;

export class RecordingsPage {
  constructor(panel) {
    this.panel = panel;
    this.found = h("p", { class: "found", "aria-live": "polite" });
    this.health = h("p", { class: "health bad", role: "status", hidden: true });
    this.body = h("tbody");
    this.table = h("table", { class: "recordings" }, h("caption", { class: "visually-hidden" }, "Recordings"),
      h("thead", {}, h("tr", {}, ...["Began", "Of", "Length", "State", ""].map((title) => h("th", { scope: "col" }, title)))), this.body);
    this.empty = h("p", { class: "empty" }, "Loading …");
    this.more = h("button", { hidden: true, onclick: () => this.look(this.shown.length + PAGE) }, "Show more");
    this.root = h("section", { "aria-label": "Recordings" }, h("div", { class: "bar" }, this.found), this.health, this.table, this.empty, this.more);
    this.shown = [];
    this.wanted = PAGE;
    this.table.hidden = true;
  }

  open() {
    this.look(this.wanted);
  }

  // Who comes next may be somebody else: what the last one saw is not shown again.
  close() {
    this.question = (this.question ?? 0) + 1;
    this.more.hidden = this.health.hidden = true;
    this.tell([], "Loading …");
  }

  // Ask for the list. Answers that a later question has overtaken are dropped.
  async look(count) {
    this.wanted = count;
    this.version = this.panel.live.model.recordingsVersion;
    const question = this.question = (this.question ?? 0) + 1;
    const { rpc } = this.panel;
    if (!rpc.may("recordings.list")) {
      this.tell([], this.panel.actions.whyNot("recordings.list"));
      return;
    }
    try {
      const shown = [];
      let more = true;
      while (more && shown.length < count) {
        const answer = await rpc.call("recordings.list", [Math.min(count - shown.length, 200), shown.at(-1)?.name ?? ""]);
        if (question !== this.question) return;
        shown.push(...answer.recordings);
        ({ more } = answer);
        this.problem = answer.problem;
        if (!answer.recordings.length) break;
      }
      this.more.hidden = !more;
      this.tell(shown, "No recordings yet. Begin one at a room or a call.");
      await this.lookAtDisk(question);
    } catch (error) {
      if (question === this.question && error.code) this.tell([], `The list cannot be had: ${error.message}`);
    }
  }

  async lookAtDisk(question) {
    if (!this.panel.rpc.may("recordings.status")) return;
    const status = await this.panel.rpc.call("recordings.status");
    if (question !== this.question) return;
    const problem = this.problem || status.problem;
    this.health.hidden = !problem;
    setText(this.health, problem ? `Nothing can be recorded: ${problem}` : "");
    setText(this.found, `${many(this.shown.length, "recording")}${this.more.hidden ? "" : " and more"}; ${status.used_mb} MB, ${status.free_mb} MB are free`);
  }

  tell(shown, ifNone) {
    this.shown = shown;
    this.table.hidden = !shown.length;
    this.empty.hidden = shown.length > 0;
    setText(this.empty, ifNone);
    setText(this.found, many(shown.length, "recording"));
    this.fill();
  }

  update() {
    if (this.version !== this.panel.live.model.recordingsVersion) this.look(this.wanted);
    else if (this.shown.some((one) => one.state === "recording")) this.fill();
  }

  fill() {
    keyed(this.body, this.shown, (one) => one.name, (one) => this.makeRow(one), (node, one) => this.fillRow(node, one));
  }

  makeRow({ name }) {
    const { actions } = this.panel;
    const current = () => this.shown.find((one) => one.name === name);
    const parts = {
      began: h("time"), of: h("button", { class: "link", onclick: () => current() && this.openInfo(current()) }), length: h("time"),
      state: h("span", { class: "flag" }),
      listen: actions.button("Listen", "recordings.listen", () => current() && this.openPlayer(current())),
      remove: actions.armed("Delete", "Really?", "recordings.delete", () => this.remove(name), { class: "danger" }),
    };
    const node = h("tr", { "data-recording": name }, h("td", {}, parts.began), h("td", {}, parts.of), h("td", {}, parts.length), h("td", {}, parts.state),
      h("td", {}, h("span", { class: "buttons" }, parts.listen, parts.remove)));
    return Object.assign(node, { parts });
  }

  fillRow({ parts }, one) {
    const live = one.state === "recording" && this.panel.live.model.recordings.get(one.name);
    setText(parts.began, one.began ? new Date(one.began * 1000).toLocaleString() : "unknown");
    setText(parts.of, title(one));
    setText(parts.length, duration(live ? this.panel.now() - live.began : one.length_ms / 1000));
    setText(parts.state, live ? "● recording" : one.state);
    parts.state.className = `flag ${live ? "rec" : one.state === "complete" ? "" : "bad"}`;
    setAttribute(parts.state, "title", one.reason || null);
    setAttribute(parts.listen, "aria-label", `Listen to ${title(one)}`);
    parts.listen.hidden = !one.files.length;
    parts.remove.hidden = Boolean(live);
  }

  async remove(name) {
    if (await this.panel.actions.run("recordings.delete", [name], "It is deleted.")) this.look(this.wanted);
  }

  // A player for each file; the address of each is asked for when it is wanted, and is good for an hour.
  openPlayer(one) {
    const rows = one.files.map((file) => {
      const place = h("span");
      const load = this.panel.actions.button("Load", "recordings.listen", async () => {
        const answer = await this.panel.actions.run("recordings.listen", [one.name, file.file]);
        if (!answer) return;
        const gone = () => place.replaceChildren(load, " it cannot be played now: the address is good for an hour only, or the file is gone");
        const player = h("audio", { onerror: gone, controls: true, preload: "metadata", src: answer[2], "aria-label": part(one, file) });
        place.replaceChildren(player, " ", h("a", { href: answer[2], download: file.file }, "Save"));
        player.focus();
      });
      place.append(load);
      if (one.files.length === 1) load.click();
      return h("li", { "data-file": file.file }, h("span", { class: "name" }, part(one, file)), place);
    });
    openDialog(title(one), () => h("ul", { class: "players" }, ...rows));
  }

  openInfo(one) {
    const facts = [
      ["Began", new Date(one.began * 1000).toLocaleString()], ["Length", duration(one.length_ms / 1000)], ["State", one.state], ["Why it ended", one.reason || "–"],
      ["Asked by", one.by || "–"], ["Kept", one.mode], ["Recording", one.name],
      ...Object.entries(one.about_call ?? {}).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]),
    ];
    const members = (one.members ?? []).map((member) => h("li", {}, person(member.name).name, h("small", {},
      ` ${member.times_ms.map(([from, to]) => `${duration(from / 1000)}–${duration(to / 1000)}`).join(", ")}${member.muted_ms.length ? ", muted at times" : ""}`)));
    openDialog(title(one), () => [
      h("dl", { class: "facts" }, ...facts.map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(text))))),
      members.length ? h("section", { class: "part", "aria-label": "Members" }, h("h3", {}, "Members"), h("ul", { class: "players" }, ...members)) : null,
    ].filter(Boolean));
  }
}

// What a recording is of, for people.
function title(one) {
  if (one.kind === "room") return `Room ${one.room}`;
  if (one.kind === "call") return `Call ${person(one.about_call?.from).name} → ${person(one.about_call?.to).name}`;
  return one.name;
}

function part(one, file) {
  if (file.of === "mix") return "All together";
  if (file.of === "call") return file.channels === 2 ? "Said left, heard right" : one.mode;
  const member = (one.members ?? []).find(({ call }) => call === file.of);
  return member ? person(member.name).name : file.of;
}
