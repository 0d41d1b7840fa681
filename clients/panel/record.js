// SPDX-License-Identifier: GPL-2.0-or-later
// Recording a room or a call, and playing a file to a room: buttons, and the windows that they open.

import { duration, h, openDialog, setAttribute, setText, toast } from "./dom.js";

const MODES = [
  ["mix", "All together in one file"],
  ["tracks", "One file for each member, in step with each other"],
  ["both", "Both"],
];

// A button that begins a recording and, while one runs, ends it. `show(recording)` keeps it in step.
export function recordButton(panel, kind, target, about) {
  const { actions } = panel;
  const node = h("span", { class: "record" });
  const flag = h("span", { class: "flag rec", role: "status" });
  const begin = actions.button("Record", kind === "room" ? "recordings.startRoom" : "recordings.startCall",
    () => (kind === "room" ? openRecord(panel, target) : start(panel, "recordings.startCall", [target, "both"])), { "aria-label": `Record ${about}` });
  const end = actions.button("Stop recording", kind === "room" ? "recordings.stopRoom" : "recordings.stopCall", () => stop(panel, kind, target), { class: "armed" });
  end.hidden = true;
  node.append(flag, begin, end);
  node.show = (recording, there) => {
    begin.hidden = Boolean(recording) || !there;
    end.hidden = !recording;
    setText(flag, recording ? `● ${duration(panel.now() - recording.began)}` : "");
    setAttribute(flag, "title", recording ? `recorded as ${recording.name}` : null);
  };
  return node;
}

async function start(panel, method, params) {
  const answer = await panel.actions.run(method, params);
  if (answer) toast("It is being recorded. Who talks should know.");
  return answer;
}

async function stop(panel, kind, target) {
  const answer = await panel.actions.run(kind === "room" ? "recordings.stopRoom" : "recordings.stopCall", [target]);
  if (answer) toast(answer[0] === 202 ? "It ends; its files are still being written." : "The recording is complete: see the page Recordings.");
}

function openRecord(panel, room) {
  const choices = MODES.map(([mode, text], place) => h("label", { class: "choice" },
    h("input", { type: "radio", name: "mode", value: mode, checked: place === 0 }), text));
  openDialog(`Record ${room}`, (close) => h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const mode = new FormData(event.target).get("mode");
    if (await start(panel, "recordings.startRoom", [room, mode])) close();
  } },
  h("fieldset", {}, h("legend", {}, "What is kept"), ...choices),
  h("p", { class: "found" }, "In many places everybody has to be told before. A file that says so can be played by itself: room_notice in recordings.conf."),
  h("p", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"), h("button", { class: "primary" }, "Start recording"))), { className: "small" });
}

// Choose one of the files that may be played to a room.
export async function openPlay(panel, room) {
  let sounds;
  try {
    sounds = await panel.rpc.call("rooms.sounds");
  } catch (error) {
    toast(`rooms.sounds failed: ${error.message}`, "error");
    return;
  }
  const choice = h("select", { id: "play-sound", size: Math.min(Math.max(sounds.length, 2), 10), required: true, autofocus: true },
    ...sounds.map((sound) => h("option", { value: sound }, sound)));
  openDialog(`Play to ${room}`, (close) => h("form", { onsubmit: async (event) => {
    event.preventDefault();
    const answer = await panel.actions.run("rooms.play", [room, choice.value]);
    if (!answer) return;
    close();
    toast(`${choice.value} is played to ${room}: ${duration(answer[2] / 1000)}.`);
  } },
  sounds.length ? h("p", { class: "field" }, h("label", { for: "play-sound" }, "Everybody hears, over the talk"), choice)
    : h("p", { class: "empty" }, "There are no files in the folders of room_sounds (sems.conf)."),
  h("p", { class: "buttons" }, h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"),
    h("button", { class: "primary", disabled: !sounds.length }, "Play"))), { className: "small" });
}
