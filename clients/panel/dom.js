// SPDX-License-Identifier: GPL-2.0-or-later
// Small helpers for building the page. Text is set as text only: what comes from SIP is a stranger's.

// h("button", {class: "x", onclick: f, "aria-label": "y"}, "text", node…)
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

// Make the children of `parent` those of `items`, in order; nodes are kept by key, so focus and selection stay.
export function keyed(parent, items, key, make, update) {
  const nodes = parent.keyedNodes ??= new Map();
  const seen = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = nodes.get(name);
    if (!node) nodes.set(name, node = make(item));
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
    seen.add(name);
  }
  for (const [name, node] of nodes) {
    if (seen.has(name)) continue;
    nodes.delete(name);
    node.remove();
  }
}

let fieldNumber = 0;
export function field(label, input, hint = "") {
  input.id ||= `field-${++fieldNumber}`;
  return h("p", { class: "field" }, h("label", { for: input.id }, label), input, hint ? h("small", {}, hint) : null);
}

// A part of an address; what cannot be decoded stays as it is.
export function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  return (hours ? `${hours}:${two(Math.floor(whole / 60) % 60)}` : String(Math.floor(whole / 60))) + `:${two(whole % 60)}`;
}

export function many(count, one, more = `${one}s`) {
  return `${count} ${count === 1 ? one : more}`;
}

const toasts = document.getElementById("toasts");

// Messages belong into the uppermost window: under a modal one nothing could be read or pressed.
function placeToasts() {
  const windows = document.querySelectorAll("dialog[open]");
  const place = windows[windows.length - 1] ?? document.body;
  if (toasts.parentNode !== place) place.append(toasts);
  return toasts;
}

export function toast(text, kind = "ok") {
  const close = h("button", { class: "quiet", "aria-label": "Dismiss", onclick: () => node.remove() }, "×");
  const node = h("p", { class: `toast ${kind}` }, h("span", {}, text), close);
  placeToasts().append(node);
  if (kind === "ok") setTimeout(() => node.remove(), 4000);
  else setTimeout(() => node.remove(), 20000);
}

// A modal window that is gone when it is closed. `build(close)` gives its content.
export function openDialog(title, build, { className = "", onclose = () => {} } = {}) {
  const dialog = h("dialog", { class: className, "aria-label": title });
  const close = () => dialog.close();
  dialog.append(
    h("div", { class: "dialog-head" }, h("h2", {}, title), h("button", { class: "quiet", "aria-label": "Close", onclick: close }, "×")),
    ...[build(close)].flat());
  dialog.addEventListener("close", () => {
    dialog.remove();
    document.body.append(toasts);
    placeToasts();
    onclose();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
