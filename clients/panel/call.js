// SPDX-License-Identifier: GPL-2.0-or-later
// The window of one call: what is known of it, its diagram, and what can be done to it.

import { DiagramView } from "./diagram.js";
import { duration, field, h, keyed, openDialog, setText } from "./dom.js";
import { expectations, left, party, row } from "./model.js";
import { recordButton } from "./record.js";

const MORE_S = 60;
const TEXT = (value) => (typeof value === "string" ? value : JSON.stringify(value));

export class CallWindow {
  constructor(panel, id, onclose) {
    Object.assign(this, { panel, id });
    this.call = panel.live.model.calls.get(id);
    this.facts = h("dl", { class: "facts" });
    this.over = h("p", { class: "notice", role: "status", hidden: true }, "This call has ended.");
    this.attributes = h("dl", { class: "attributes" });
    const { actions } = panel;
    this.hangup = actions.armed("Hang up", "Really hang up?", "core.hangup", () => actions.run("core.hangup", [id], "The call is being ended."), { class: "danger" });
    this.mute = actions.button("Mute", "rooms.mute", () => actions.run(this.call.muted ? "rooms.unmute" : "rooms.mute", [id]));
    this.move = actions.button("Move", "rooms.move", () => openMove(panel, this.call));
    this.record = recordButton(panel, "call", id, "this call");
    this.extend = actions.button(`+ ${MORE_S} s`, "control.extend", () => actions.run("control.extend", [id, MORE_S], `The call may last ${MORE_S} s longer.`));
    this.drawing = new DiagramView((state) => this.choose(state));
    this.diagramPart = h("section", { class: "part", "aria-label": "Diagram", hidden: true }, h("h3", {}, "Diagram"), this.drawing.root);
    this.eventPart = this.buildEvents();
    this.dialog = openDialog(this.title(), () => [
      this.over, this.facts, h("p", { class: "buttons" }, this.hangup, this.mute, this.move, this.extend, this.record), this.eventPart, this.diagramPart,
      h("section", { class: "part", "aria-label": "Attributes" }, h("h3", {}, "All attributes"), this.attributes),
    ], { className: "call", onclose });
    this.update();
  }

  title() {
    return this.call ? party(this.call).name : "Call";
  }

  // ------------------------------------------------------------------------------------------------------------ events
  buildEvents() {
    this.rows = h("div", { class: "pairs" });
    this.waits = h("p", { class: "chips" });
    const send = this.panel.actions.button("Post event", "dsm.postDSMEvent", () => this.post(), { class: "primary", type: "button" });
    const more = h("button", { type: "button", class: "quiet", onclick: () => this.addPair("", "").firstChild.focus() }, "+ parameter");
    const form = h("form", { class: "events", onsubmit: (event) => { event.preventDefault(); send.click(); } },
      this.waits, this.rows, h("p", { class: "buttons" }, more, send), h("button", { type: "submit", hidden: true }));
    this.setPairs([["action", ""]]);
    return h("section", { class: "part", "aria-label": "DSM event", hidden: true }, h("h3", {}, "Post a DSM event"), form);
  }

  addPair(name, value) {
    const pair = h("p", { class: "pair" },
      h("input", { "aria-label": "parameter", value: name, placeholder: "name", class: "name", autocomplete: "off" }), " = ",
      h("input", { "aria-label": `value of ${name || "the parameter"}`, value, placeholder: "value", class: "value", autocomplete: "off" }),
      h("button", { type: "button", class: "quiet", "aria-label": `remove ${name || "the parameter"}`, onclick: () => pair.remove() }, "×"));
    this.rows.append(pair);
    return pair;
  }

  setPairs(pairs) {
    this.rows.replaceChildren();
    for (const [name, value] of pairs) this.addPair(name, value);
  }

  post() {
    const pairs = [...this.rows.children]
      .map((pair) => [pair.querySelector(".name").value.trim(), pair.querySelector(".value").value]).filter(([name]) => name);
    return this.panel.actions.run("dsm.postDSMEvent", [this.id, pairs], "The event is in the call's queue.");
  }

  // Offer what the state's arrows wait for; a click fills the form.
  offer(state) {
    const found = this.graph ? expectations(this.graph, state) : [];
    this.waits.replaceChildren(...found.map(({ name, target, values }) => h("button", { type: "button", class: "chip", title: `to state ${target}`,
      onclick: () => { this.setPairs(values); (this.rows.querySelector(".value:placeholder-shown") ?? this.rows.querySelector(".value"))?.focus(); } }, name)));
    if (found.length) this.waits.prepend(`${state} waits for: `);
  }

  choose(state) {
    this.panel.go(`#/calls?filter=${encodeURIComponent(`${this.diagram}/${state}`)}`);
  }

  // ------------------------------------------------------------------------------------------------------------ showing
  async draw(diagram, application) {
    this.diagram = diagram;
    this.graph = null;
    try {
      await this.drawing.load(this.panel.rpc, diagram, application);
      this.graph = await this.panel.rpc.call("dsm.diagramGraph", [diagram, application]);
      this.diagramPart.hidden = false;
    } catch {
      this.diagramPart.hidden = true; // an older version of a diagram that is no longer loaded
    }
    this.state = undefined;
    this.update();
  }

  update() {
    const call = this.panel.live.model.calls.get(this.id);
    this.over.hidden = Boolean(call) || !this.panel.live.known;
    this.hangup.disabled = !call;
    if (call) this.call = call;
    if (!this.call) return;
    this.record.show(this.panel.live.model.recordingOf("call", this.id), Boolean(call?.answered));
    this.extend.hidden = !call || left(call, 0) === undefined;
    this.mute.hidden = this.move.hidden = !call?.rooms.size;
    setText(this.mute, this.call.muted ? "Unmute" : "Mute");
    const { attributes } = this.call;
    const shown = row(this.call);
    const { dsm_diag: diagram, dsm_state: state } = attributes;
    this.showFacts(shown);
    keyed(this.attributes, Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1)), ([name]) => name,
      ([name]) => h("div", {}, h("dt", {}, name), h("dd")), (node, [, value]) => setText(node.lastChild, TEXT(value)));
    this.eventPart.hidden = !diagram || !call;
    if (diagram && diagram !== this.diagram) this.draw(diagram, shown.app);
    if (diagram && this.graph && state !== this.state) {
      this.state = state;
      this.offer(state);
      this.drawing.mark(state);
    }
    if (diagram) this.drawing.counts(this.panel.live.model.counts(diagram));
  }

  showFacts(shown) {
    const { call } = this;
    const at = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleTimeString() : "–");
    const facts = [
      ["From", `${shown.from.name}  ${shown.from.uri}`], ["To", `${shown.to.name}  ${shown.to.uri}`],
      ["Application", `${shown.app}, ${shown.out ? "outgoing" : "incoming"}`], ["Began", at(call.started)],
      ["Duration", call.answered ? duration(this.panel.now() - call.answered) : "not answered yet"],
      ["Room / position", shown.place || "–"], ["State", shown.state || "–"],
      ["Audio", call.muted ? "muted" : call.speaking ? "speaking" : "open"],
      ["Encryption", TEXT(call.attributes.srtp) || "none"], ["Id", call.id],
    ];
    const remaining = left(call, this.panel.now());
    if (remaining !== undefined) facts.splice(5, 0, ["Left", `${duration(remaining)} of ${duration(Number(call.attributes.granted_s))}${call.attributes.account ? `, account ${call.attributes.account}` : ""}`]);
    keyed(this.facts, facts, ([name]) => name, ([name]) => h("div", {}, h("dt", {}, name), h("dd")), (node, [, text]) => setText(node.lastChild, text));
  }
}

// Ask for a room and move a call there.
export function openMove(panel, call) {
  const rooms = [...panel.live.model.rooms.keys()].filter((room) => !call.rooms.has(room)).sort();
  const input = h("input", { id: "move-room", list: "move-rooms", required: true, maxlength: 200, autocomplete: "off", autofocus: true });
  openDialog(`Move ${party(call).name}`, (close) => h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const room = input.value.trim();
    if (await panel.actions.run("rooms.move", [call.id, room], `${party(call).name} goes to ${room}.`)) close();
  } },
  field("To the room", input, "An existing room, or the name of a new one."),
  h("datalist", { id: "move-rooms" }, ...rooms.map((room) => h("option", { value: room }))),
  rooms.length ? h("p", { class: "chips" }, ...rooms.slice(0, 12).map((room) => h("button", { type: "button", class: "chip", onclick: () => { input.value = room; input.focus(); } }, room))) : null,
  h("p", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"), h("button", { class: "primary" }, "Move"))), { className: "small" });
}
