// SPDX-License-Identifier: GPL-2.0-or-later
// The panel's model: snapshot and events, headers that strangers wrote, filters, what a state waits for.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

const source = readFileSync(new URL("../../../../clients/panel/model.js", import.meta.url));
const { Model, expectations, fits, party, person, row, words } = await import(`data:text/javascript;base64,${source.toString("base64")}`);

const ATTRIBUTES = { app: "lobby", dir: "in", from: '"Ada" <sip:ada@there.example>;tag=1', to: "<sip:lobby@here.example>" };
const event = (type, call, room = "", attributes = {}, time = 5) => ({ type, call, room, attributes, time });

function begun() {
  const model = new Model();
  model.snapshot({
    sessions: { a: { application: "lobby", direction: "in", started: 1, answered: 2, room: "r", muted: true, speaking: false } },
    calls: { a: { ...ATTRIBUTES, dsm_diag: "lobby", dsm_state: "room" }, "no call": { x: 1 } }, rooms: { r: ["a"] },
  });
  return model;
}

test("a snapshot shows calls only, with their rooms", () => {
  const model = begun();
  assert.deepEqual([...model.calls.keys()], ["a"]);
  const call = model.calls.get("a");
  assert.deepEqual([call.muted, call.started, [...call.rooms], [...model.rooms.get("r")]], [true, 1, ["r"], ["a"]]);
  assert.deepEqual([...model.counts("lobby")], [["room", 1]]);
});

test("events carry it on", () => {
  const model = begun();
  model.apply(event("call.started", "b", "", ATTRIBUTES));
  model.apply(event("call.answered", "b", "", {}, 7));
  model.apply(event("dsm.state", "b", "", { diagram: "lobby", state: "waiting" }));
  model.apply(event("monitoring.changed", "b", "", { position: "hall" }));
  model.apply(event("monitoring.changed", "b", "", { position: "old", monitoring_change: "added" }));
  assert.deepEqual([model.calls.get("b").answered, row(model.calls.get("b")).state, row(model.calls.get("b")).place], [7, "lobby/waiting", "hall"]);
  model.apply(event("room.joined", "b", "r"));
  model.apply(event("room.speaking", "b", "r", { speaking: true }));
  model.apply(event("call.muted", "a", "r", { muted: false }));
  assert.deepEqual([[...model.rooms.get("r")], model.calls.get("b").speaking, model.calls.get("a").muted], [["a", "b"], true, false]);
  model.apply(event("room.left", "b", "r"));
  assert.equal(model.calls.get("b").speaking, false);
  model.apply(event("call.ended", "a"));
  assert.deepEqual([[...model.calls.keys()], model.rooms.size], [["b"], 0]);
  for (const type of ["call.answered", "call.muted", "call.ended", "room.left", "room.speaking", "dsm.state", "monitoring.changed", "new.type"]) {
    model.apply(event(type, "unknown", "nowhere"));
  }
  assert.deepEqual([...model.calls.keys()], ["b"]);
});

test("recordings that run, and when the list of them may have changed", () => {
  const model = begun();
  const one = { name: "n1", kind: "room", target: "r", mode: "mix", began: 3 };
  model.snapshot({ recordings: [one] });
  const { recordingsVersion } = model;
  assert.deepEqual([model.recordingOf("room", "r"), model.recordingOf("call", "r")], [one, undefined]);
  model.apply(event("recording.started", "a", "", { name: "n2", kind: "call", mode: "both" }, 9));
  assert.deepEqual(model.recordingOf("call", "a"), { name: "n2", kind: "call", target: "a", mode: "both", began: 9 });
  model.apply(event("recording.stopped", "", "r", { name: "n1", kind: "room", state: "complete" }));
  model.apply(event("recording.deleted", "", "", { name: "gone" }));
  assert.deepEqual([[...model.recordings.keys()], model.recordingsVersion], [["n2"], recordingsVersion + 3]);
  model.snapshot({});
  assert.equal(model.recordings.size, 0);
});

test("without the module monitoring there is at least application and direction", () => {
  const model = new Model();
  model.snapshot({ sessions: { a: { application: "echo", direction: "out", started: 1 } }, rooms: {} });
  const shown = row(model.calls.get("a"));
  assert.deepEqual([shown.app, shown.out, shown.from.name], ["echo", true, "unknown"]);
});

test("headers of strangers", () => {
  for (const [header, name, uri] of [
    ['"Ada" <sip:ada@x>;tag=1', "Ada", "sip:ada@x"], ["<sip:ada@x>", "ada", "sip:ada@x"], ["sip:ada@x;tag=1", "ada", "sip:ada@x"],
    ["Ada Lovelace <sip:ada@x>", "Ada Lovelace", "sip:ada@x"], ['"<img src=x>\\" \\\\" <sip:e@x>', '<img src=x>" \\', "sip:e@x"],
    ["<sips:x.example>", "x.example", "sips:x.example"], ["<tel:+49301;phone-context=x>", "+49301", "tel:+49301;phone-context=x"],
    ["", "unknown", ""], ["<", "<", "<"], ["\"open <sip:x@y>", '"open', "sip:x@y"], [undefined, "unknown", ""], [[1], "[1]", "[1]"], ["> <", ">", "> <"],
  ]) {
    const found = person(header);
    assert.deepEqual([found.name, found.uri], [name, uri], String(header));
  }
  for (let round = 0; round < 2000; round += 1) {
    const text = Array.from({ length: round % 17 }, () => '<>"\\;:@sip a\u0000'[Math.floor(Math.random() * 14)]).join("");
    assert.equal(typeof person(text).name, "string");
    assert.ok(person(text).name);
  }
});

test("filters: every word must occur", () => {
  const call = begun().calls.get("a");
  assert.equal(party(call).name, "Ada");
  for (const [filter, hit] of [["", true], ["ada", true], ["ADA lobby/room", true], ["muted in", true], ["ada grace", false], ["there.example r", true], ["a", true]]) {
    assert.equal(fits(call, words(filter)), hit, filter);
  }
});

test("what a state waits for", () => {
  const graph = { edges: [
    { from: "waiting", to: "room", name: "take", conditions: ["event(#action == take)", 'not test(#roomname == "")'], actions: ["conference.join(#roomname)", "log(#by)"] },
    { from: "waiting", to: "end", name: "bye", conditions: ["hangup"], actions: [] },
    { from: "room", to: "end", name: "old", conditions: ['eventTest(#action=="kick")'], actions: [] },
  ] };
  assert.deepEqual(expectations(graph, "waiting"), [{ name: "take", target: "room", values: [["action", "take"], ["roomname", ""], ["by", ""]] }]);
  assert.deepEqual(expectations(graph, "room")[0].values, [["action", "kick"]]);
  assert.deepEqual(expectations(graph, "end"), []);
});
