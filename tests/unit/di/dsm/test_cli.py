# SPDX-License-Identifier: GPL-2.0-or-later
"""The command: check, graph, run."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from di.dsm.cli import main
from di.dsm.language import draw

ETC = Path(__file__).parents[4] / "etc" / "dsm"
LOBBY = str(ETC / "lobby.dsm")


def script(folder: Path, text: str, name: str = "s.dsm") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_the_shipped_scripts_are_clean(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(map(str, ETC.glob("*.dsm")))
    assert main(["check", "--strict", *files]) == 0
    assert capsys.readouterr().out == f"{len(files)} script(s): 0 error(s), 0 warning(s)\n"


def test_check_shows_all_errors_with_carets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(tmp_path, "initial state A enter {\n\tplayFlie(x);\n};\ntransition t A - tiemr -> B;\n")
    assert main(["check", path]) == 1
    out = capsys.readouterr().out
    assert f"error: {path}:2:2: there is no action `playFlie`; did you mean playFile?\n  \tplayFlie(x);\n  \t^\n" in out
    assert f"{path}:4:18:" in out and out.endswith("1 script(s): 2 error(s), 0 warning(s)\n")


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("initial state A; state B; transition t A - hangup / stop(false) -> A;", "state B cannot be reached from A"),
        ("initial state A; state B; transition t A - hangup -> B;", "state B has no way out"),
        ("initial state A; transition t A - hangup -> Aa;", "goes to Aa, which is no state; did you mean A?"),
        (
            "initial state A enter { set($roomname=x) }; transition t A - test($romname==x) -> A;",
            "variable $romname is never set; did you mean $roomname?",
        ),
        ("initial state A; transition t A - test(#type=x) -> A;", "has no operator"),
        ("state A; transition t A - hangup -> A;", "has no initial state"),
        ("initial state A; transition t A - timer -> A;", "no transition with the condition hangup"),
        ("initial state A enter { callFSM(other) }; transition t A - hangup -> A;", "no diagram of this name"),
        ("initial state A enter { set(a) };", "two parameters separated by"),
    ],
)
def test_doubts(tmp_path: Path, text: str, doubt: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(tmp_path, text)
    assert main(["check", path]) == 0
    assert doubt in capsys.readouterr().out
    assert main(["check", "--strict", path]) == 1


def test_missing_files_and_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "nope.dsm")]) == 1
    assert main(["graph", str(tmp_path)]) == 1
    assert main(["run", LOBBY, "--script", str(tmp_path / "nope")]) == 1
    assert main([]) == 2
    assert main(["paint", "x"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_drawings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", LOBBY]) == 0
    root = ET.fromstring(capsys.readouterr().out)
    states = {group.get("data-state") for group in root.iter("{http://www.w3.org/2000/svg}g")} - {None}
    assert states == {"lobby", "waiting", "room", "end"}
    assert main(["graph", LOBBY, "-o", str(tmp_path / "l.dot")]) == 0
    assert '"lobby" -> "waiting" [label="invite"];' in (tmp_path / "l.dot").read_text()
    assert main(["graph", LOBBY, "--format", "mermaid"]) == 0
    assert "[*] --> s0" in capsys.readouterr().out
    assert main(["graph", LOBBY, "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["nodes"][0]["name"] == "lobby" and {edge["to"] for edge in data["edges"]} == {"waiting", "room", "end"}


def test_odd_names_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        'initial state "<a&b>"; transition "\x01\x1b]" "<a&b>" - timer(#id=="1") -> "<a&b>"; transition x "<a&b>" -> "no\\where";'
    )
    path = script(tmp_path, text)
    assert main(["graph", path]) == 0
    ET.fromstring(capsys.readouterr().out)


def test_a_scene_as_test_of_a_diagram(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = script(
        tmp_path,
        "select user=alice\ninvite\nexpect did 'monitor set username alice'\nsessionStart\nevent action=take roomname=wonderland # comment\n"
        "expect state room\nexpect did 'join wonderland'\nhangup\nexpect state lobby/end\nexpect $taken=taken.wav\nvars\nstate\n",
        "scene.sim",
    )
    assert main(["run", LOBBY, "--script", scene]) == 0
    out = capsys.readouterr().out
    assert "  → join wonderland" in out and "  lobby/end" in out
    failing = script(tmp_path, "invite\nexpect state room\n", "failing.sim")
    assert main(["run", LOBBY, "--script", failing]) == 1
    assert f"{failing}:2: expected state room, the call is in lobby/waiting" in capsys.readouterr().err


def test_timers_in_the_simulator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(
        tmp_path,
        "initial state A enter { setTimer(1, 5); setTimer(2, 3) }; state B; transition t A - timer(#id==2) / { append($l, 2); setTimer(3, 0) } -> B;"
        "transition u B - timer / append($l, #id) -> B;",
    )
    scene = script(tmp_path, "time 2\nexpect state A\ntime 9\nexpect $l=231\n", "t.sim")
    assert main(["run", path, "--script", scene]) == 0, capsys.readouterr().err


def test_the_simulator_shows_what_an_event_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = script(
        tmp_path,
        "initial state A enter { set($here=A); }; state B; transition t A - key / { set($here=B); set($k=#key); clear($old) } -> B;"
        "transition u B - key -> B;",
    )
    scene = script(tmp_path, "set old=1\nkey *\nexpect $k=10\nkey 2\n", "c.sim")
    assert main(["run", path, "--script", scene]) == 0, capsys.readouterr().err
    begun, first, second = capsys.readouterr().out.split("> key ")
    assert "  $here = 'A'\n" in begun
    assert first.endswith("  $here = 'B'\n  $k = '10'\n  $old is gone\n> expect $k=10\n")
    assert "$" not in second


@pytest.mark.parametrize("line", ["nosuchthing", "expect", "set x", "key 'open", "expect state", "time", "time 3s"])
def test_wrong_lines_are_named(tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    scene = script(tmp_path, line + "\n", "w.sim")
    assert main(["run", LOBBY, "--script", scene]) == 1
    assert f"{scene}:1:" in capsys.readouterr().err


def test_labels_of_a_drawing_do_not_cover_each_other() -> None:
    taken: list[draw.Box] = [(-50.0, -17.0, 50.0, 17.0)]
    for _ in range(30):
        draw._free_place(0.0, 0.0, "the same words", taken)
    for index, a in enumerate(taken):
        for b in taken[:index]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
