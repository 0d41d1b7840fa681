// SPDX-License-Identifier: GPL-2.0-or-later
// What a user does to the server: asked for, then told how it went. What he may not do says so instead of failing silently.

import { h, setAttribute, toast } from "./dom.js";

const ARMED_MS = 4000;

export class Actions {
  constructor(rpc) {
    this.rpc = rpc;
  }

  // Run a DI function and show its words if it refuses. The answer, or undefined when it did not work.
  async run(method, params, done = "") {
    if (!this.rpc.may(method)) {
      toast(this.whyNot(method), "error");
      return undefined;
    }
    let answer;
    try {
      answer = await this.rpc.call(method, params);
    } catch (error) {
      toast(error.code === -32001 ? this.whyNot(method) : `${method} failed: ${error.message}`, "error");
      return undefined;
    }
    if (Array.isArray(answer) && typeof answer[0] === "number" && ![0, 200, 202].includes(answer[0])) {
      toast(`Not done: ${String(answer[1] ?? answer[0]).trim()}`, "error");
      return undefined;
    }
    if (done) toast(done);
    return answer;
  }

  whyNot(method) {
    const who = this.rpc.name || "You";
    return `${who} may not do this: ${method} is not in the role, or its module is not loaded. ` +
      "Roles stand in the access file, modules in load_plugins.";
  }

  // A button for one DI function. It can be reached but is marked when the user may not call the function.
  button(text, method, onclick, properties = {}) {
    const node = h("button", { ...properties, onclick: (event) => (this.rpc.may(method) ? onclick(event) : toast(this.whyNot(method), "error")) }, text);
    node.dataset.method = method;
    this.mark(node);
    return node;
  }

  // The same for what cannot be taken back: it must be pressed twice.
  armed(text, question, method, onclick, properties = {}) {
    let timer = 0;
    const calm = () => {
      clearTimeout(timer);
      timer = 0;
      node.textContent = text;
      node.classList.remove("armed");
    };
    const node = this.button(text, method, (event) => {
      if (timer) {
        calm();
        onclick(event);
        return;
      }
      timer = setTimeout(calm, ARMED_MS);
      node.textContent = question;
      node.classList.add("armed");
    }, properties);
    node.addEventListener("blur", () => timer && calm());
    return node;
  }

  mark(node) {
    const may = this.rpc.may(node.dataset.method);
    setAttribute(node, "aria-disabled", may ? null : "true");
    setAttribute(node, "title", may ? null : this.whyNot(node.dataset.method));
  }

  markAll() {
    for (const node of document.querySelectorAll("button[data-method]")) this.mark(node);
  }
}
