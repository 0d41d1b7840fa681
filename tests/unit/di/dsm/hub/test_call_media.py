# SPDX-License-Identifier: GPL-2.0-or-later
"""Audio of a script's call: rooms, tees, playlists, names of files and prompts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from media.control import play_items, records
from tests.support.dsm_server import ETC, played, server

TEE = """import(mod_conference);
initial state A;
transition go A - event(#do == go) / { conference.join(own, listenonly); conference.teejoin(other); conference.teejoin(other, again);
 conference.setupMixIn(0.5, 2); conference.playMixInList(over.wav, true); conference.size(other, $n); } -> A;
transition leave A - event(#do == leave) / { conference.teeleave(); set($first=$errno); conference.teeleave(again); } -> A;
transition early A - event(#do == early) / { disconnectMedia(); conference.teejoin(x); } -> A;
transition bad A - event(#do == bad) / { conference.playMixIn(/none.wav); } -> A;
transition x A - exception / { set($thrown=#type); set($cause=#cause); } -> A;
"""


def test_tee_and_mix_in(folder: Path) -> None:
    (folder / "over.wav").write_bytes(b"RIFF")
    book = server(folder, {"tee": TEE.replace("over.wav", str(folder / "over.wav"))})
    call, leg_of = (
        book.up("app-tee"),
        lambda: [c for c in book.media.commands if type(c).__name__ in ("TeeRoom", "SetupMixIn", "MixIn")],
    )
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "go"]])
    assert leg_of() == [
        records.TeeRoom(call.leg, "other"), records.TeeRoom(call.leg, "other"), records.SetupMixIn(call.leg, 0.5, 2000),
        records.MixIn(call.leg, (play_items.PlayFile(str(folder / "over.wav"), loop=True),)),
    ]  # fmt: skip
    rooms = book.sessions.rooms
    assert (call.app.machine.vars["n"], rooms.members("own"), rooms.members("other")) == ("1", [call.id], [call.id])
    book.media.commands.clear()
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "leave"]])
    assert (leg_of(), rooms.members("other")) == ([records.TeeRoom(call.leg, "other", False)], [])
    assert book.media.legs[call.leg].audio["attached_input"] is True
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "bad"]])
    assert call.app.machine.vars["thrown"] == "file"
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "early"]])
    assert call.app.machine.vars["thrown"] == "conference" and "no input" in call.app.machine.vars["cause"]
    book.invoke("dsm", "postDSMEvent", call.id, [["do", "go"]])
    book.bye(call)
    assert call.gone and rooms.names() == []


@pytest.mark.parametrize(("action", "attached"), [("", False), ("connectMedia()", True), ("setInOutPlaylist()", True)])
def test_with_connect_session_0_the_playlist_stands_still(folder: Path, action: str, attached: bool) -> None:
    text = (
        "import(mod_dlg); initial state A enter { set($connect_session=0) }; transition i A - invite / dlg.acceptInvite() -> A;"
        f"transition e A - event / {{ playFile({ETC}/prompts/beep.wav); {action} }} -> A;"
    )
    book = server(folder, {"t": text})
    session = book.up("app-t")
    assert book.media.legs[session.leg].audio["attached_output"] is False
    book.invoke("dsm", "postDSMEvent", session.id, [])
    assert played(book, session.leg) == ["beep.wav"] and book.media.legs[session.leg].audio["attached_output"] is attached


def test_names_of_audio_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory first, then the configuration's folder; without suffix a WAV file, nothing else."""
    here = folder / "working"
    here.mkdir()
    monkeypatch.chdir(here)
    for path in (folder / "both.wav", here / "both.wav", folder / "conf.wav", folder / "plain", folder / "voice.flac"):
        path.write_bytes(b"RIFF")
    text = "initial state A; transition e A - event / { playFile(#f); append($l, y) } -> A; transition x A - exception / append($l, n) -> A;"
    book = server(folder, {"t": text})
    call = book.up("app-t")
    app: Any = call.app
    for name in ("both.wav", "both", "conf", "plain", "voice", "none", "voice.flac", "both.wave"):
        book.invoke("dsm", "postDSMEvent", call.id, [["f", name]])
    paths = [Path(item.path).relative_to(folder) for item in book.media.legs[call.leg].playlist]
    assert [str(path) for path in paths] == ["working/both.wav", "working/both.wav", "conf.wav", "voice.flac"]
    assert app.machine.vars["l"] == "yyynnnyn"


def test_media_root_is_a_jail(folder: Path) -> None:
    (folder / "in").mkdir()
    for name in ("in/a.wav", "out.wav"):
        (folder / name).write_bytes(b"RIFF")
    os.symlink(folder / "out.wav", folder / "in" / "link.wav")
    text = "initial state A; transition e A - event / { playFile(#f); append($l, ok) } -> A;"
    text += "transition x A - exception; test(#type==file) / append($l, no) -> A;"
    book = server(folder, {"t": text}, f"media_root={folder}/in")
    session = book.up("app-t")
    app: Any = session.app
    for path in (
        "in/a.wav",
        "in/../in/a.wav",
        "in/../out.wav",
        f"{folder}/out.wav",
        "in/link.wav",
        "in/a.txt",
        "in",
        "",
        "a\0.wav",
    ):
        book.invoke("dsm", "postDSMEvent", session.id, [["f", str(folder / path) if path and not path.startswith("/") else path]])
    assert app.machine.vars["l"] == "okoknononononono" + "no"


def test_prompts_and_sets(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / f"{name}.wav").write_bytes(b"RIFF")
    (folder / "p.list").write_text(f"# prompts\nhello={folder}/a.wav\nbye={folder}/a.wav\ngone={folder}/none.wav\n")
    (folder / "german").write_text(f"hello={folder}/b.wav\n")
    text = (
        "initial state A enter { playPrompt(hello); setPrompts(german); playPrompt(hello); set($prompts.default_fallback=yes);"
        "playPrompt(bye); playPrompt(gone) };"
        "state B; transition x A - exception; test(#name==gone) -> B;"
    )
    conf = "load_prompts=p.list\nrequired_prompts=hello\nprompts_sets_path=.\nload_prompts_sets=german"
    book = server(folder, {"t": text}, conf)
    session = book.up("app-t")
    assert played(book, session.leg) == ["a.wav", "b.wav", "a.wav"]
    assert session.attributes["dsm_state"] == "B"
