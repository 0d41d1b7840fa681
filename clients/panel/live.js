// SPDX-License-Identifier: GPL-2.0-or-later
// Keeps a Model in step with the server: subscribe, replay after a break, start afresh where something was missed.

import { Model } from "./model.js";

const TYPES = ["call.*", "room.*", "dsm.*", "monitoring.*", "recording.*"];
const AFTER_DROP_MS = 3000;

export class Live extends EventTarget {
  // Fires "change" whenever the model may have changed, "problem" (detail: text, empty when it is over).
  constructor(rpc) {
    super();
    this.rpc = rpc;
    this.model = new Model();
    this.known = false; // whether the model is of this server's run
    this.subscription = 0;
    this.last = 0;
    this.stream = "";
    rpc.addEventListener("state", () => rpc.state === "online" && this.resume());
    rpc.addEventListener("notification", ({ detail }) => this.told(detail.method, detail.params));
  }

  async resume() {
    const params = { filter: { types: TYPES } };
    if (this.known) Object.assign(params, { from_sequence: this.last + 1, stream: this.stream });
    else params.snapshot = true;
    this.early = [];
    this.subscription = 0;
    try {
      const { subscription, stream } = await this.rpc.call("events.subscribe", params);
      this.subscription = subscription;
      this.stream = stream;
      this.problem("");
    } catch (error) {
      if (error.code) this.problem(`Nothing can be shown: ${error.message}. The panel needs events.subscribe; a role gets it by read:* or read:events.*`);
      return;
    }
    for (const [method, told] of this.early) this.told(method, told); // they may overtake the answer
  }

  afresh() {
    this.rpc.call("events.unsubscribe", [this.subscription]).catch(() => {});
    this.known = false;
    this.resume();
  }

  told(method, params) {
    if (!method.startsWith("events.")) return;
    if (!this.subscription) {
      this.early?.push([method, params]);
      return;
    }
    if (params.subscription !== this.subscription) return;
    if (method === "events.event") {
      this.last = params.sequence;
      this.model.apply(params);
    } else if (method === "events.snapshot") {
      this.last = params.sequence;
      this.model.snapshot(params.state);
      this.known = true;
    } else if (method === "events.gap") {
      this.afresh();
      return;
    } else if (method === "events.dropped") {
      this.known = false;
      this.problem("More happens than this page could read: it shows the present state again in a moment.");
      setTimeout(() => this.rpc.state === "online" && this.resume(), AFTER_DROP_MS);
      return;
    }
    this.dispatchEvent(new Event("change"));
  }

  problem(text) {
    this.dispatchEvent(new CustomEvent("problem", { detail: text }));
  }
}
