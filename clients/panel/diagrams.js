// SPDX-License-Identifier: GPL-2.0-or-later
// The page Diagrams: what is loaded, one of them drawn with its calls, and who is in a state.

import { callList } from "./calls.js";
import { DiagramView } from "./diagram.js";
import { decoded, h, keyed, many, setAttribute, setText } from "./dom.js";

const MOST_CALLS = 50;

export class DiagramsPage {
  constructor(panel) {
    this.panel = panel;
    this.known = [];
    this.chosen = "";
    this.state = "";
    this.list = h("ul", { class: "picker" });
    this.drawing = new DiagramView((state) => this.choose(state));
    this.drawing.root.hidden = true;
    this.calls = h("ul", { class: "in-state" });
    this.callsHead = h("h2");
    this.all = h("a", { class: "more" }, "Show in Calls");
    this.side = h("section", { class: "state-calls", "aria-live": "polite", hidden: true }, this.callsHead, this.calls, this.all);
    this.empty = h("p", { class: "empty" });
    this.root = h("section", { class: "diagrams", "aria-label": "Diagrams" }, h("nav", { "aria-label": "Loaded diagrams" }, this.list), h("div", { class: "canvas" }, this.empty, this.drawing.root, this.side));
  }

  async open([application = "", name = ""]) {
    this.wanted = name ? [decoded(application).slice(1), decoded(name)] : null;
    setText(this.empty, "Loading …");
    try {
      this.known = await this.panel.rpc.call("dsm.diagrams");
    } catch (error) {
      this.known = [];
      setText(this.empty, `No diagrams: ${error.message}. The module dsm must be in load_plugins, and read:dsm.* in the role.`);
      this.empty.hidden = false;
      return;
    }
    const first = this.known.find((diagram) => diagram.calls) ?? this.known[0];
    const [app, title] = this.wanted ?? (first ? [first.application, first.name] : ["", ""]);
    if (!title) setText(this.empty, "No diagram is loaded: name some in load_diags in dsm.conf.");
    this.update();
    if (title) await this.draw(app, title);
  }

  async draw(application, name) {
    const key = `${application}/${name}`;
    this.empty.hidden = true;
    if (key !== this.chosen) this.choose("");
    this.chosen = key;
    this.name = name;
    try {
      await this.drawing.load(this.panel.rpc, name, application);
      this.drawing.root.hidden = false;
    } catch (error) {
      this.chosen = "";
      this.drawing.root.hidden = true;
      this.empty.hidden = false;
      setText(this.empty, `This diagram cannot be shown: ${error.message}.`);
    }
    this.update();
  }

  choose(state) {
    this.state = state;
    this.drawing.mark(state);
    this.update();
  }

  update() {
    const { model } = this.panel.live;
    const totals = new Map();
    for (const { attributes } of model.calls.values()) {
      if (attributes.dsm_diag) totals.set(attributes.dsm_diag, (totals.get(attributes.dsm_diag) ?? 0) + 1);
    }
    keyed(this.list, this.known, ({ application, name }) => `${application}/${name}`, ({ application, name }) => h("li", {},
      h("a", { href: `#/diagrams/-${encodeURIComponent(application)}/${encodeURIComponent(name)}` }, name, h("small", {}, application ? ` ${application}` : ""), h("span", { class: "badge" }))),
    (node, { application, name, states }) => {
      setText(node.querySelector(".badge"), String(totals.get(name) ?? 0));
      setAttribute(node.firstChild, "aria-current", `${application}/${name}` === this.chosen ? "true" : null);
      setAttribute(node.firstChild, "title", `${many(states, "state")}, ${many(totals.get(name) ?? 0, "call")}`);
    });
    if (!this.chosen) return;
    const counts = model.counts(this.name);
    this.drawing.counts(counts);
    this.side.hidden = !this.state;
    if (!this.state) return;
    const calls = [...model.calls.values()].filter(({ attributes }) => attributes.dsm_diag === this.name && attributes.dsm_state === this.state);
    setText(this.callsHead, `${this.state}: ${many(calls.length, "call")}`);
    callList(this.panel, this.calls, calls.slice(0, MOST_CALLS));
    this.all.hidden = !calls.length;
    setAttribute(this.all, "href", `#/calls?filter=${encodeURIComponent(`${this.name}/${this.state}`)}`);
  }
}
