// SPDX-License-Identifier: GPL-2.0-or-later
// The page Calls: a live table with a filter; a click shows everything about a call.

import { duration, h, keyed, many, setAttribute, setText } from "./dom.js";
import { fits, left, party, row, words } from "./model.js";

const FIRST_ROWS = 100;
const NEAR_S = 10; // so near its end a call stands out
const COLUMNS = [
  { id: "from", title: "From", key: (call, shown) => shown.from.name.toLowerCase() },
  { id: "to", title: "To", key: (call, shown) => shown.to.name.toLowerCase() },
  { id: "app", title: "Application", key: (call, shown) => shown.app },
  { id: "place", title: "Room / position", key: (call, shown) => shown.place },
  { id: "state", title: "Diagram state", key: (call, shown) => shown.state },
  { id: "time", title: "Duration", key: (call) => -(call.started || 0) },
  { id: "left", title: "Left", key: (call, shown, now) => left(call, now) ?? Infinity },
  { id: "call", title: "Call", key: (call) => call.id },
];

export class CallsPage {
  constructor(panel) {
    this.panel = panel;
    this.filter = "";
    this.rows = FIRST_ROWS;
    this.sort = "time";
    this.turned = false;
    this.input = h("input", { type: "search", id: "filter", placeholder: "name, address, room, state, id …", autocomplete: "off", spellcheck: "false",
      oninput: () => this.setFilter(this.input.value) });
    this.found = h("p", { class: "found", "aria-live": "polite" });
    this.heads = COLUMNS.map((column) => h("th", { scope: "col", class: `c-${column.id}` },
      h("button", { class: "sort", onclick: () => this.sortBy(column.id) }, column.title)));
    this.body = h("tbody");
    this.table = h("table", { class: "calls" }, h("caption", { class: "visually-hidden" }, "Calls"), h("thead", {}, h("tr", {}, ...this.heads)), this.body);
    this.empty = h("p", { class: "empty" });
    this.more = h("button", { onclick: () => { this.rows += FIRST_ROWS; this.update(); } }, "Show more");
    this.root = h("section", { "aria-label": "Calls" },
      h("div", { class: "bar" }, h("label", { for: "filter" }, "Filter"), this.input, this.found),
      this.table, this.empty, this.more);
  }

  open(parts, query) {
    if (query.has("filter")) this.setFilter(query.get("filter"));
    this.input.value = this.filter;
  }

  setFilter(text) {
    this.filter = text;
    this.rows = FIRST_ROWS;
    this.update();
  }

  sortBy(id) {
    this.turned = this.sort === id && !this.turned;
    this.sort = id;
    this.update();
  }

  update() {
    const all = [...this.panel.live.model.calls.values()];
    const wanted = words(this.filter);
    const shown = all.filter((call) => fits(call, wanted)).map((call) => ({ call, shown: row(call) }));
    const { key } = COLUMNS.find((column) => column.id === this.sort);
    const turn = this.turned ? -1 : 1;
    const order = shown.map((item) => ({ item, key: key(item.call, item.shown, this.panel.now()) }));
    this.table.classList.toggle("limited", all.some((call) => left(call, 0) !== undefined));
    order.sort((a, b) => (a.key < b.key ? -turn : a.key > b.key ? turn : 0));
    COLUMNS.forEach((column, place) => setAttribute(this.heads[place], "aria-sort",
      column.id === this.sort ? (this.turned ? "descending" : "ascending") : null));
    keyed(this.body, order.slice(0, this.rows).map(({ item }) => item), ({ call }) => call.id, () => this.makeRow(), (node, item) => this.fill(node, item));
    setText(this.found, wanted.length ? `${shown.length} of ${many(all.length, "call")}` : many(all.length, "call"));
    this.table.hidden = !shown.length;
    this.more.hidden = shown.length <= this.rows;
    setText(this.more, `Show more (${shown.length - this.rows} are left; a filter finds them too)`);
    this.empty.hidden = shown.length > 0;
    setText(this.empty, !this.panel.live.known ? "Loading …" : all.length ? "No call fits the filter." : "No calls now. This table fills by itself when one comes.");
  }

  makeRow() {
    const cell = (id, title, ...content) => h("td", { class: `c-${id}`, "data-title": title }, ...content);
    const node = h("tr", { onclick: (event) => event.target.closest("button") || getSelection().toString() || this.panel.showCall(node.dataset.call) });
    const parts = node.parts = {
      from: h("button", { class: "link", onclick: () => this.panel.showCall(node.dataset.call) }),
      to: h("span"), app: h("span"), place: h("span"), state: h("span"), time: h("time"), left: h("time"), call: h("code"), flag: h("span", { class: "flag" }),
      way: h("span", { class: "way", role: "img" }),
    };
    node.append(cell("from", "From", parts.way, parts.from), cell("to", "To", parts.to), cell("app", "Application", parts.app),
      cell("place", "Room", parts.place, parts.flag), cell("state", "State", parts.state), cell("time", "Duration", parts.time), cell("left", "Left", parts.left),
      cell("call", "Call", parts.call));
    return node;
  }

  fill(node, { call, shown }) {
    const { parts } = node;
    node.dataset.call = call.id;
    setText(parts.from, shown.from.name);
    setAttribute(parts.from, "title", shown.from.uri);
    setText(parts.to, shown.to.name);
    setAttribute(parts.to, "title", shown.to.uri);
    setText(parts.way, shown.out ? "↗" : "↘");
    setAttribute(parts.way, "aria-label", shown.out ? "outgoing" : "incoming");
    setAttribute(parts.way, "title", shown.out ? "outgoing" : "incoming");
    setText(parts.app, shown.app);
    setText(parts.place, shown.place);
    setText(parts.state, shown.state);
    const recorded = this.panel.live.model.recordingOf("call", call.id);
    setText(parts.flag, `${recorded ? "● " : ""}${call.muted ? "muted" : call.speaking ? "speaking" : recorded ? "recorded" : ""}`);
    node.classList.toggle("speaking", call.speaking && !call.muted);
    setText(parts.time, call.answered ? duration(this.panel.now() - call.answered) : "ringing");
    const remaining = left(call, this.panel.now());
    setText(parts.left, remaining === undefined ? "" : duration(remaining));
    setAttribute(parts.left, "title", remaining === undefined ? null : `granted until now${call.attributes.account ? `, account ${call.attributes.account}` : ""}`);
    node.classList.toggle("ending", remaining !== undefined && remaining <= NEAR_S);
    setText(parts.call, call.id);
  }
}

// A list of calls beside a diagram: who, how long, a click for more.
export function callList(panel, node, calls) {
  keyed(node, calls, (call) => call.id, (call) => h("li", {},
    h("button", { class: "link", onclick: () => panel.showCall(call.id) }), h("time")), (item, call) => {
    setText(item.firstChild, party(call).name);
    setText(item.lastChild, call.answered ? duration(panel.now() - call.answered) : "ringing");
  });
}
