// SPDX-License-Identifier: GPL-2.0-or-later
// The panel: connection, log-in, pages, and one place from which everything is shown again when something has changed.
//
//   socket ── rpc ──┬── live ── model ──┐
//                   └── actions         ├── schedule ── the open page's update()
//                                 clock ┘

import { Actions } from "./actions.js";
import { CallWindow } from "./call.js";
import { CallsPage } from "./calls.js";
import { DiagramsPage } from "./diagrams.js";
import { decoded, field, h, setAttribute, setText } from "./dom.js";
import { Live } from "./live.js";
import { RecordingsPage } from "./recordings.js";
import { RoomsPage } from "./rooms.js";
import { Rpc } from "./rpc.js";
import { History, StatusPage } from "./status.js";

const PAGES = { calls: CallsPage, rooms: RoomsPage, recordings: RecordingsPage, diagrams: DiagramsPage, status: StatusPage };
const SHOWN_EVERY_MS = 150;
const $ = (id) => document.getElementById(id);

class Panel {
  constructor() {
    this.rpc = new Rpc(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
    this.live = new Live(this.rpc);
    this.actions = new Actions(this.rpc);
    this.history = new History(this);
    this.clockAhead = 0;
    this.pages = {};
    this.problem = "";
    this.rpc.addEventListener("state", () => this.connection());
    this.live.addEventListener("change", () => this.schedule());
    this.live.addEventListener("problem", ({ detail }) => { this.problem = detail; this.banner(); });
    addEventListener("hashchange", () => this.route());
    $("logout").addEventListener("click", () => this.rpc.logout());
    setInterval(() => this.schedule(), 1000);
    this.route();
    this.rpc.start();
  }

  // Wall-clock time of the server, in seconds.
  now() {
    return Date.now() / 1000 + this.clockAhead;
  }

  go(hash) {
    location.hash = hash;
  }

  showCall(id) {
    this.go(`#/${this.name}/call/${encodeURIComponent(id)}`);
  }

  // ------------------------------------------------------------------------------------------------------------- pages
  route() {
    const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const parts = path.split("/");
    const name = PAGES[parts[0]] ? parts[0] : "calls";
    const at = parts.indexOf("call");
    const id = at > 0 ? decoded(parts[at + 1] ?? "") : "";
    if (!id) this.closeCall();
    if (this.rpc.state === "login") return;
    const rest = parts.slice(1, at > 0 ? at : undefined);
    if (name !== this.name || (!id && !this.returning) || !this.page) this.openPage(name, rest, new URLSearchParams(query));
    this.returning = false;
    if (id) this.openCall(id);
    this.update();
  }

  openPage(name, parts, query) {
    this.page?.close?.();
    const changed = name !== this.name;
    this.name = name;
    this.parts = parts;
    this.page = this.pages[name] ??= new PAGES[name](this);
    if (this.page.root.parentNode !== $("main")) $("main").replaceChildren(this.page.root);
    document.title = `${name[0].toUpperCase()}${name.slice(1)} – cordboard`;
    for (const link of document.querySelectorAll("header nav a")) {
      setAttribute(link, "aria-current", link.getAttribute("href") === `#/${name}` ? "page" : null);
    }
    this.actions.markAll();
    this.page.open?.(parts, query);
    if (changed) scrollTo(0, 0);
  }

  openCall(id) {
    if (this.window?.id === id) return;
    this.closeCall();
    const opened = this.window = new CallWindow(this, id, () => {
      if (this.window !== opened) return;
      this.window = null;
      this.returning = true;
      this.go(location.hash.replace(/\/call\/[^/?]*/, ""));
    });
  }

  closeCall() {
    const opened = this.window;
    this.window = null;
    opened?.dialog.close();
  }

  // -------------------------------------------------------------------------------------------------------- connection
  connection() {
    const { rpc } = this;
    $("link").className = `dot ${rpc.state}`;
    setAttribute($("link"), "title", rpc.state === "online" ? "connected" : "not connected");
    setText($("who"), rpc.name);
    $("logout").hidden = !rpc.loggedIn;
    document.body.classList.toggle("stale", rpc.state === "offline" || (rpc.state === "connecting" && this.live.known));
    if (rpc.state === "online") {
      this.loginShown = false;
      this.setClock();
      this.history.sample();
      if (!this.page || !this.page.root.isConnected) this.route();
      else this.page.open?.(this.parts, new URLSearchParams());
      this.actions.markAll();
    } else if (rpc.state === "login") {
      this.showLogin();
    }
    this.banner();
  }

  async setClock() {
    if (!this.rpc.may("status.overview")) return;
    const asked = Date.now();
    try {
      const { now } = await this.rpc.call("status.overview");
      this.clockAhead = now - (asked + Date.now()) / 2000;
    } catch {
      // the connection broke again: the next one asks anew
    }
  }

  banner() {
    const { state, reason } = this.rpc;
    const lost = state === "offline" || (state === "connecting" && this.live.known);
    const text = lost ? reason || "The connection to the server is lost; trying again. What is shown may be out of date." : state === "online" ? this.problem : "";
    setText($("banner"), text);
    $("banner").hidden = !text;
  }

  showLogin() {
    this.closeCall();
    for (const opened of document.querySelectorAll("dialog[open]")) opened.close();
    $("toasts").replaceChildren();
    this.live.known = false;
    this.live.model.snapshot({});
    const { reason } = this.rpc;
    const name = h("input", { autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" });
    const password = h("input", { type: "password", autocomplete: "current-password" });
    const form = h("form", { class: "login-card", onsubmit: (event) => {
      event.preventDefault();
      this.rpc.login(authorization(name.value.trim(), password.value));
    } },
    h("h1", {}, "Log in"), reason ? h("p", { class: "notice bad", role: "alert" }, `Not let in: ${reason}.`) : null,
    field("Name, or token", name, "A token looks like panel.3xY…; it needs no password."), field("Password", password),
    h("p", { class: "buttons" }, h("button", { class: "primary" }, "Log in")),
    h("p", { class: "found" }, "Made by ", h("code", {}, "cordboard token add"), "; kept for this browser tab only."));
    this.page?.close?.();
    this.pages = {}; // who comes next may be somebody else: nothing of what the last one saw is kept
    this.page = null;
    this.history.forget();
    $("main").replaceChildren(form);
    name.focus();
    for (const id of ["count-calls", "count-rooms"]) setText($(id), "–");
  }

  // ----------------------------------------------------------------------------------------------------------- showing
  // Show again soon; many changes in a row are shown as one.
  schedule() {
    if (this.due) return;
    const wait = Math.max(0, SHOWN_EVERY_MS - (performance.now() - (this.shownAt ?? -1e9)));
    this.due = setTimeout(() => { this.due = 0; this.update(); }, wait);
  }

  update() {
    this.shownAt = performance.now();
    if (this.rpc.state === "login") return;
    const { calls, rooms } = this.live.model;
    if (this.live.known) {
      setText($("count-calls"), String(calls.size));
      setText($("count-rooms"), String(rooms.size));
    }
    this.page?.update();
    this.window?.update();
  }
}

// The value of an Authorization header: a token by itself, or a name with its password.
function authorization(name, password) {
  if (!password && name.includes(".")) return `Bearer ${name}`;
  return `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(`${name}:${password}`)))}`;
}

new Panel();
