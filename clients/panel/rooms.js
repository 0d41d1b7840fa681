// SPDX-License-Identifier: GPL-2.0-or-later
// The page Rooms: who is where and who speaks; mute, move, kick, open a room.

import { openMove } from "./call.js";
import { duration, field, h, keyed, many, openDialog, setAttribute, setText, toast } from "./dom.js";
import { party, row } from "./model.js";
import { openPlay, recordButton } from "./record.js";

const LOOK_AGAIN_MS = 10000;

export class RoomsPage {
  constructor(panel) {
    this.panel = panel;
    this.opened = {}; // rooms that webconference keeps open, empty ones too
    this.create = panel.actions.button("Open a room", "webconference.roomCreate", () => this.openCreate(), { class: "primary" });
    this.found = h("p", { class: "found" });
    this.list = h("div", { class: "rooms" });
    this.empty = h("p", { class: "empty" });
    this.root = h("section", { "aria-label": "Rooms" }, h("div", { class: "bar" }, this.create, this.found), this.list, this.empty);
  }

  open() {
    this.close(); // it is opened again whenever the connection comes back
    this.look();
    this.timer = setInterval(() => this.look(), LOOK_AGAIN_MS);
  }

  close() {
    clearInterval(this.timer);
  }

  async look() {
    if (!this.panel.rpc.may("webconference.openRooms")) return;
    try {
      this.opened = await this.panel.rpc.call("webconference.openRooms");
      this.update();
    } catch {
      // the connection is down: the next look will do
    }
  }

  update() {
    const { rooms, calls } = this.panel.live.model;
    const names = [...new Set([...rooms.keys(), ...Object.keys(this.opened)])].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    keyed(this.list, names, (name) => name, (name) => this.makeRoom(name), (node, name) => {
      const members = [...(rooms.get(name) ?? [])].map((id) => calls.get(id)).filter(Boolean);
      setText(node.count, members.length ? many(members.length, "member") : "open, empty");
      node.classList.toggle("idle", !members.length);
      node.record.show(this.panel.live.model.recordingOf("room", name), members.length > 0);
      node.play.hidden = !members.length;
      keyed(node.members, members, (call) => call.id, (call) => this.makeMember(call.id), (item, call) => this.fillMember(item, call));
    });
    setText(this.found, names.length ? many(names.length, "room") : "");
    this.empty.hidden = names.length > 0;
    setText(this.empty, this.panel.live.known ? "No rooms now. One appears when somebody calls in, or when you open one." : "Loading …");
  }

  makeRoom(name) {
    const count = h("span", { class: "count" });
    const members = h("ul", { class: "members" });
    const record = recordButton(this.panel, "room", name, `room ${name}`);
    const play = this.panel.actions.button("Play", "rooms.play", () => openPlay(this.panel, name), { "aria-label": `Play a file to room ${name}` });
    const node = h("article", { class: "room", "data-room": name, "aria-label": `Room ${name}` },
      h("div", { class: "room-head" }, h("h2", {}, name, " ", count), h("span", { class: "buttons" }, play, record)), members);
    return Object.assign(node, { count, members, record, play });
  }

  makeMember(id) {
    const { panel } = this;
    const { actions } = panel;
    const current = () => panel.live.model.calls.get(id);
    const name = h("button", { class: "link", onclick: () => panel.showCall(id) });
    const flag = h("span", { class: "flag" });
    const more = h("span");
    const voice = h("span", { class: "voice", "aria-hidden": "true" });
    const mute = actions.button("Mute", "rooms.mute", () => actions.run(current()?.muted ? "rooms.unmute" : "rooms.mute", [id]));
    const move = actions.button("Move", "rooms.move", () => current() && openMove(panel, current()));
    const kick = actions.armed("Kick", "Really?", "rooms.kick", () => actions.run("rooms.kick", [id]), { class: "danger" });
    const node = h("li", { "data-call": id }, voice, h("span", { class: "name" }, name, h("span", { class: "more" }, more, flag)),
      h("span", { class: "buttons" }, mute, move, kick));
    return Object.assign(node, { parts: { name, flag, more, mute, move, kick } });
  }

  fillMember(node, call) {
    const { name, flag, more, mute, move, kick } = node.parts;
    const who = party(call).name;
    setText(name, who);
    setAttribute(name, "title", party(call).uri);
    setText(flag, call.muted ? "muted" : call.speaking ? "speaking" : "");
    node.classList.toggle("speaking", call.speaking && !call.muted);
    node.classList.toggle("muted", call.muted);
    setText(more, call.answered ? duration(this.panel.now() - call.answered) : "ringing");
    setAttribute(more, "title", row(call).app);
    setText(mute, call.muted ? "Unmute" : "Mute");
    setAttribute(mute, "aria-label", `${call.muted ? "Unmute" : "Mute"} ${who}`);
    setAttribute(move, "aria-label", `Move ${who} to another room`);
    setAttribute(kick, "aria-description", `end the call of ${who}`);
  }

  openCreate() {
    const name = h("input", { required: true, maxlength: 200, autocomplete: "off", autofocus: true });
    const minutes = h("input", { type: "number", min: 0, max: 100000, value: 0, inputmode: "numeric" });
    openDialog("Open a room", (close) => h("form", { onsubmit: async (event) => {
      event.preventDefault();
      const room = name.value.trim();
      const answer = await this.panel.actions.run("webconference.roomCreate", [room, Math.round(Number(minutes.value) * 60)]);
      if (!answer) return;
      close();
      toast(`Room ${room} is open. Its admin pin is ${answer[2]}: note it, it is not shown again.`, "keep");
      this.look();
    } },
    field("Name", name, "What callers dial or key in."),
    field("Closes after (minutes)", minutes, "0: stays open until it has been empty for a while."),
    h("p", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"), h("button", { class: "primary" }, "Open"))), { className: "small" });
  }
}
