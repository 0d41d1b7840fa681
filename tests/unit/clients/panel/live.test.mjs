// SPDX-License-Identifier: GPL-2.0-or-later
// How the panel follows the event stream: replay after a break, afresh after a gap or when it was dropped.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const url = (text) => `data:text/javascript;base64,${Buffer.from(text).toString("base64")}`;
const source = (name) => readFileSync(new URL(`../../../../clients/panel/${name}`, import.meta.url), "utf8");
globalThis.CustomEvent ??= class extends Event {
  constructor(type, { detail } = {}) {
    super(type);
    this.detail = detail;
  }
};
const { Live } = await import(url(source("live.js").replace("./model.js", url(source("model.js")))));
const turn = () => new Promise((resolve) => setImmediate(resolve));

class FakeRpc extends EventTarget {
  constructor() {
    super();
    this.state = "connecting";
    this.asked = [];
    this.subscription = 0;
  }

  call(method, params) {
    this.asked.push([method, params]);
    if (method !== "events.subscribe") return Promise.resolve(true);
    this.subscription += 1;
    if (params.snapshot) this.tell("events.snapshot", { sequence: 10, state: { sessions: { a: { started: 1 } }, calls: { a: { app: "x" } }, rooms: {} } });
    return Promise.resolve({ subscription: this.subscription, stream: "s1", sequence: 10 });
  }

  tell(method, params, subscription = this.subscription) {
    this.dispatchEvent(new CustomEvent("notification", { detail: { method, params: { subscription, ...params } } }));
  }

  event(sequence, type, call, attributes = {}, subscription = this.subscription) {
    this.tell("events.event", { sequence, type, call, room: "", time: 1, attributes }, subscription);
  }

  async online() {
    this.state = "online";
    this.dispatchEvent(new Event("state"));
    await turn();
  }
}

async function started() {
  const rpc = new FakeRpc();
  const live = new Live(rpc);
  await rpc.online();
  return { rpc, live };
}

test("a snapshot that overtakes the answer counts; events follow", async () => {
  const { rpc, live } = await started();
  assert.equal(rpc.asked[0][1].snapshot, true);
  assert.deepEqual([live.known, [...live.model.calls.keys()], live.last], [true, ["a"], 10]);
  rpc.event(11, "call.started", "b");
  rpc.event(12, "call.started", "c", {}, 99);
  assert.deepEqual([[...live.model.calls.keys()], live.last], [["a", "b"], 11]);
});

test("after a break it goes on where it left off", async () => {
  const { rpc, live } = await started();
  rpc.event(11, "call.started", "b");
  rpc.asked.length = 0;
  await rpc.online();
  assert.deepEqual([rpc.asked[0][1].from_sequence, rpc.asked[0][1].stream, rpc.asked[0][1].snapshot], [12, "s1", undefined]);
  rpc.event(12, "call.ended", "a");
  assert.deepEqual([...live.model.calls.keys()], ["b"]);
});

test("what was missed is not guessed: a gap begins afresh", async () => {
  const { rpc, live } = await started();
  rpc.event(11, "call.started", "b");
  await rpc.online();
  rpc.asked.length = 0;
  rpc.tell("events.gap", { first: 12, last: 40, reason: "gone" });
  rpc.event(41, "call.started", "of the old subscription", {}, rpc.subscription - 1);
  await turn();
  assert.deepEqual(rpc.asked.map(([method, params]) => [method, params.snapshot]), [["events.unsubscribe", undefined], ["events.subscribe", true]]);
  assert.deepEqual([[...live.model.calls.keys()], live.last], [["a"], 10]);
});

test("who was too slow is told, waits, and begins afresh", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const { rpc, live } = await started();
  const problems = [];
  live.addEventListener("problem", ({ detail }) => problems.push(detail));
  rpc.tell("events.dropped", { reason: "too slow" });
  rpc.asked.length = 0;
  context.mock.timers.tick(3000);
  await turn();
  assert.equal(rpc.asked[0][1].snapshot, true);
  assert.ok(problems[0] && problems.at(-1) === "");
});

test("a role without events is told what it lacks", async () => {
  const rpc = new FakeRpc();
  rpc.call = () => Promise.reject(Object.assign(new Error("Forbidden"), { code: -32001 }));
  const live = new Live(rpc);
  const problems = [];
  live.addEventListener("problem", ({ detail }) => problems.push(detail));
  await rpc.online();
  assert.match(problems[0], /needs events\.subscribe/);
});
