// SPDX-License-Identifier: GPL-2.0-or-later
// A drawn diagram. The picture is the server's, the same as `cordboard dsm graph`; here it only gets numbers, a mark, and can be moved about.

import { h, setAttribute, setText } from "./dom.js";

const ELEMENTS = new Set(["svg", "g", "title", "rect", "text", "path", "defs", "marker"]);
const ATTRIBUTES = new Set(["viewBox", "font-family", "font-size", "role", "id", "refX", "refY", "markerWidth", "markerHeight", "orient", "d", "x", "y",
  "width", "height", "rx", "fill", "stroke", "stroke-width", "stroke-dasharray", "text-anchor", "font-weight", "paint-order", "marker-end", "data-state", "class", "visibility"]);
const MAX_ZOOM = 8;

const policy = globalThis.trustedTypes?.createPolicy("diagram", { createHTML: (text) => text }) ?? { createHTML: (text) => text };
let drawings = 0;

// The server's SVG as nodes of this page; whatever a drawing does not need is left out.
function parse(text) {
  const source = new DOMParser().parseFromString(policy.createHTML(text), "image/svg+xml").documentElement;
  if (source.localName !== "svg") throw new Error("this is no drawing");
  const tip = `tip-${++drawings}`; // ids are the whole page's
  const copy = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return document.createTextNode(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE || !ELEMENTS.has(node.localName)) return null;
    const made = document.createElementNS("http://www.w3.org/2000/svg", node.localName);
    for (const { name, value } of node.attributes) {
      if (!ATTRIBUTES.has(name)) continue;
      made.setAttribute(name, name === "id" ? tip : name === "marker-end" ? `url(#${tip})` : value);
    }
    for (const child of node.childNodes) {
      const inside = copy(child);
      if (inside) made.append(inside);
    }
    return made;
  };
  return copy(source);
}

export class DiagramView {
  // onState(state): a state was chosen.
  constructor(onState = () => {}) {
    this.onState = onState;
    this.states = new Map();
    this.hands = new Map();
    this.stage = h("div", { class: "stage" });
    const button = (text, label, onclick) => h("button", { class: "quiet", type: "button", "aria-label": label, title: label, onclick }, text);
    this.root = h("div", { class: "diagram" }, this.stage,
      h("p", { class: "zoom" }, button("−", "Zoom out", () => this.zoom(1 / 1.3)), button("+", "Zoom in", () => this.zoom(1.3)), button("Fit", "Show all", () => this.fit())));
    this.stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY < 0 ? 1.12 : 1 / 1.12, event);
    }, { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.stage.addEventListener(end, (event) => this.hands.delete(event.pointerId));
  }

  // Rejects when there is no such diagram.
  async load(rpc, name, application) {
    const { svg } = await rpc.call("dsm.diagramSvg", [name, application]);
    this.svg = parse(svg);
    const [x, y, width, height] = this.svg.getAttribute("viewBox").split(/\s+/).map(Number);
    this.whole = { x, y, width, height };
    this.states.clear();
    for (const group of this.svg.querySelectorAll("g[data-state]")) {
      const state = group.dataset.state;
      this.states.set(state, group);
      setAttribute(group, "tabindex", "0");
      setAttribute(group, "role", "button");
      const choose = () => this.onState(state);
      group.addEventListener("click", () => this.dragged || choose());
      group.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose();
      });
    }
    this.stage.replaceChildren(this.svg);
    this.fit();
    this.counts(new Map());
  }

  // counts: Map of state → number of calls.
  counts(counts) {
    for (const [state, group] of this.states) {
      const count = counts.get(state) ?? 0;
      const badge = group.querySelector(".count");
      setText(badge.querySelector("text"), String(count));
      setAttribute(badge, "visibility", count ? null : "hidden");
      group.classList.toggle("busy", count > 0);
      setAttribute(group, "aria-label", `state ${state}, ${count} ${count === 1 ? "call" : "calls"}`);
    }
  }

  mark(state) {
    for (const [name, group] of this.states) {
      group.classList.toggle("current", name === state);
      setAttribute(group, "aria-current", name === state ? "true" : null);
    }
  }

  // ---------------------------------------------------------------------------------------------------------- moving about
  show(view) {
    this.view = view;
    this.svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  }

  fit() {
    if (this.svg) this.show({ ...this.whole });
  }

  // `at`: a pointer event whose place stays where it is; the middle without one.
  zoom(factor, at = null) {
    if (!this.svg) return;
    const { view, whole } = this;
    const width = Math.min(Math.max(view.width / factor, whole.width / MAX_ZOOM), whole.width * 2);
    const height = view.height * width / view.width;
    const box = this.svg.getBoundingClientRect();
    const [across, down] = at && box.width ? [(at.clientX - box.left) / box.width, (at.clientY - box.top) / box.height] : [0.5, 0.5];
    this.show({ x: view.x + (view.width - width) * across, y: view.y + (view.height - height) * down, width, height });
  }

  down(event) {
    if (!this.hands.size) this.dragged = false;
    this.hands.set(event.pointerId, event);
  }

  move(event) {
    const before = this.hands.get(event.pointerId);
    if (!before || !this.svg) return;
    const far = Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
    if (!this.dragged && far < 4) return;
    if (!this.dragged) this.stage.setPointerCapture(event.pointerId);
    this.dragged = true;
    const other = [...this.hands.values()].find((hand) => hand.pointerId !== event.pointerId);
    if (other) {
      const distance = (hand) => Math.hypot(hand.clientX - other.clientX, hand.clientY - other.clientY);
      this.zoom(distance(event) / Math.max(distance(before), 1), other);
    } else {
      const box = this.svg.getBoundingClientRect();
      const scale = Math.max(this.view.width / box.width, this.view.height / box.height);
      this.show({ ...this.view, x: this.view.x - (event.clientX - before.clientX) * scale, y: this.view.y - (event.clientY - before.clientY) * scale });
    }
    this.hands.set(event.pointerId, event);
  }
}
