// SPDX-License-Identifier: GPL-2.0-or-later
// What is known of calls and rooms: a snapshot, then every event after it. Pure: no connection, no page, no clock.

export class Model {
  constructor() {
    this.calls = new Map();
    this.rooms = new Map(); // name → Set of call ids, in order of entry
    this.recordings = new Map(); // those that run: name → {name, kind, target, mode, began}
    this.recordingsVersion = 0; // another one whenever the list of recordings may have changed
  }

  // state: {sessions: {id: facts}, calls: {id: attributes}, rooms: {name: [id]}, recordings: [facts]}; without the modules monitoring
  // and recordings `calls` and `recordings` are missing.
  snapshot(state) {
    this.calls = new Map();
    this.rooms = new Map();
    for (const [id, facts] of Object.entries(state.sessions ?? {})) {
      const attributes = state.calls?.[id] ?? { app: facts.application, dir: facts.direction };
      this.calls.set(id, newCall(id, attributes, facts));
    }
    for (const [room, members] of Object.entries(state.rooms ?? {})) {
      this.rooms.set(room, new Set(members));
      for (const id of members) this.calls.get(id)?.rooms.add(room);
    }
    this.recordings = new Map((state.recordings ?? []).map((one) => [one.name, one]));
    this.recordingsVersion += 1;
  }

  // One event of the stream; what it says of calls that are not known is ignored, they have ended.
  apply({ type, time, call: id, room, attributes }) {
    const call = this.calls.get(id);
    if (call) call.row = null;
    switch (type) {
      case "call.started":
        this.calls.set(id, newCall(id, attributes, { started: time }));
        break;
      case "call.answered":
        if (call) call.answered = time;
        break;
      case "call.muted":
        if (call) call.muted = attributes.muted;
        break;
      case "call.ended":
        for (const name of call?.rooms ?? []) this.leave(name, id);
        this.calls.delete(id);
        break;
      case "room.joined":
        if (!this.rooms.has(room)) this.rooms.set(room, new Set());
        this.rooms.get(room).add(id);
        call?.rooms.add(room);
        break;
      case "room.left":
        this.leave(room, id);
        call?.rooms.delete(room);
        if (call && !call.rooms.size) call.speaking = false;
        break;
      case "room.speaking":
        if (call) call.speaking = attributes.speaking;
        break;
      case "recording.started":
        this.recordings.set(attributes.name, { name: attributes.name, kind: attributes.kind, target: room || id, mode: attributes.mode, began: time });
        this.recordingsVersion += 1;
        break;
      case "recording.stopped":
      case "recording.deleted":
        this.recordings.delete(attributes.name);
        this.recordingsVersion += 1;
        break;
      case "dsm.state":
        if (call) Object.assign(call.attributes, { dsm_diag: attributes.diagram, dsm_state: attributes.state });
        break;
      case "monitoring.changed":
        if (call && !("monitoring_change" in attributes)) Object.assign(call.attributes, attributes);
        break;
    }
  }

  leave(room, id) {
    const members = this.rooms.get(room);
    members?.delete(id);
    if (members?.size === 0) this.rooms.delete(room);
  }

  // The recording that runs of a room or call, if any.
  recordingOf(kind, target) {
    for (const one of this.recordings.values()) if (one.kind === kind && one.target === target) return one;
    return undefined;
  }

  // Calls in each state of a diagram: Map of state → number.
  counts(diagram) {
    const counts = new Map();
    for (const { attributes } of this.calls.values()) {
      if (attributes.dsm_diag === diagram) counts.set(attributes.dsm_state, (counts.get(attributes.dsm_state) ?? 0) + 1);
    }
    return counts;
  }
}

function newCall(id, attributes, { started = 0, answered = 0, muted = false, speaking = false }) {
  return { id, attributes: { ...attributes }, started, answered, muted, speaking, rooms: new Set(), row: null };
}

const TEXT = (value) => (typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value));

// A header like `"Ada" <sip:ada@example.org>;tag=1`: the name for people, and the address. Anything may stand in it.
export function person(header) {
  const text = TEXT(header).trim();
  const quoted = /^"((?:[^"\\]|\\.)*)"/s.exec(text); // RFC 3261 §25.1: a `<` inside quotes begins no address
  const rest = quoted ? text.slice(quoted[0].length) : text;
  const open = rest.indexOf("<");
  const close = rest.indexOf(">", open);
  const uri = open >= 0 && close > open ? rest.slice(open + 1, close) : rest.split(";", 1)[0].trim();
  const display = quoted ? quoted[1].replace(/\\(.)/gs, "$1").trim() : open > 0 ? rest.slice(0, open).trim() : "";
  const address = uri.replace(/^(sips?|tel):/i, "").split(/[;?]/, 1)[0];
  return { name: display || address.split("@", 1)[0] || address || "unknown", address, uri };
}

// The columns of the table, as text; kept until the next event of the call.
export function row(call) {
  return (call.row ??= makeRow(call));
}

function makeRow(call) {
  const { attributes } = call;
  const state = attributes.dsm_diag ? `${TEXT(attributes.dsm_diag)}/${TEXT(attributes.dsm_state)}` : "";
  const rooms = [...call.rooms];
  const position = TEXT(attributes.position);
  if (position && !rooms.includes(position)) rooms.push(position);
  return {
    from: person(attributes.from), to: person(attributes.to), app: TEXT(attributes.app), out: attributes.dir === "out", state,
    place: rooms.join(", "),
  };
}

// The other party: who called us, or whom we called.
export function party(call) {
  return person(call.attributes.dir === "out" ? call.attributes.to : call.attributes.from);
}

// Seconds until the controls' grant is used up, before the answer all of it; undefined: the call has no limit.
export function left(call, now) {
  const granted = Number(call.attributes.granted_s ?? -1);
  if (!(granted >= 0)) return undefined;
  return Math.max(0, granted - (call.answered ? now - call.answered : 0));
}

// Whether a call fits a filter: every word of it must occur somewhere in what is shown of the call.
export function fits(call, words) {
  if (!words.length) return true;
  const { from, to, app, out, state, place } = row(call);
  const text = [call.id, TEXT(call.attributes.account), from.name, from.uri, to.name, to.uri, app, out ? "out" : "in", state, place, call.muted ? "muted" : ""]
    .join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function words(filter) {
  return filter.toLowerCase().split(/\s+/).filter(Boolean);
}

// What a state waits for, read from the conditions on its arrows: event(#action == take); test(#roomname …) → names and known values.
export function expectations(graph, state) {
  const found = [];
  for (const edge of graph.edges) {
    if (edge.from !== state || !edge.conditions.some((condition) => /^(not\s+)?event(Test)?\(/.test(condition))) continue;
    const values = new Map();
    for (const text of [...edge.conditions, ...edge.actions]) {
      for (const [, name] of text.matchAll(/#(\w+)/g)) if (!values.has(name)) values.set(name, "");
    }
    for (const text of edge.conditions) {
      for (const [, name, value] of text.matchAll(/^event(?:Test)?\(\s*#(\w+)\s*==\s*"?([^")]*?)"?\s*\)/g)) values.set(name, value);
    }
    found.push({ name: edge.name, target: edge.to, values: [...values] });
  }
  return found;
}
