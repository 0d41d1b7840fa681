# SPDX-License-Identifier: GPL-2.0-or-later
"""What the modules' actions do (spec dsm.md §5), on a simulated call."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import threading
from pathlib import Path

import pytest

from di.dsm.language.errors import DsmError, GrammarError
from di.dsm.language.event import Event, Kind
from di.dsm.language.reader import read_diagram
from di.dsm.load.modules import BUILT_IN, Modules, core_library
from di.dsm.mods.sql_template import substitute_sql
from di.dsm.run.drivers import deliver
from di.dsm.run.engine import Machine, Run
from di.dsm.run.simulated import SimulatedSession
from tests.support.dsm_scripts import MemoryFiles, Scene, load


async def run(body: str, session: SimulatedSession | None = None, **variables: str) -> tuple[dict[str, str], SimulatedSession]:
    """Run statements in an enter list; returns variables and session."""
    imports = "".join(f"import({name});" for name in BUILT_IN if name not in ("mod_zrtp",))
    session = session or SimulatedSession()
    caught = "transition x A - exception / set($thrown=#type) -> B; state B;"
    machine = Machine({"t": load(f"{imports} initial state A enter {{ {body} }}; {caught}")}, session)
    machine.vars.update(variables)
    waiting = deliver(machine.start("t", Kind.EVENT))
    if waiting is not None:
        await waiting
    return machine.vars, session


def test_totals() -> None:
    modules = [Modules().find(name) for name in BUILT_IN]
    assert (len(core_library().actions), len(core_library().conditions)) == (87 + 1, 36), "one alias, setPromptSet"
    assert sum(len(module.actions) for module in modules) == 157 + 1, "one alias, sbc.getSBCCallStatus"
    assert sum(len(module.conditions) for module in modules) == 34 + 1, "one alias, BLegRefused"


async def test_files_and_commands(tmp_path: Path) -> None:
    found, _ = await run(
        f"sys.mkdirRecursive({tmp_path}/a/b); sys.tmpnam(tmp); sys.rename($tmp, {tmp_path}/a/b/c); sys.popen($out=echo hi; exit 3);"
        f"if sys.file_exists({tmp_path}/a/b/c) {{ set($there=1) }} if sys.system(true) {{ set($t=1) }} if sys.system(false) {{ set($f=1) }}"
        f"sys.unlink({tmp_path}/a/b/c); set($e1=$errno); sys.unlink({tmp_path}/nope)"
    )
    assert (found["there"], found["t"], "f" in found, found["out"], found["out.status"]) == ("1", "1", False, "hi\n", "768")
    assert (found["e1"], found["errno"]) == ("", "file")


async def test_a_file_goes_to_another_file_system_while_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.rename
    threads: list[int] = []

    def rename(source: str, target: str) -> None:
        if not str(source).endswith(".part"):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        threads.append(threading.get_ident())
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    (tmp_path / "a").write_text("sound")
    found, _ = await run(f"sys.rename({tmp_path}/a, {tmp_path}/b); set($e1=$errno); sys.rename({tmp_path}/none, {tmp_path}/c)")
    assert (found["e1"], found["errno"]) == ("", "file")
    assert os.listdir(tmp_path) == ["b"] and (tmp_path / "b").read_text() == "sound"
    assert threads and threading.get_ident() not in threads


@pytest.mark.parametrize("command", ["yes", "(yes & yes)", "yes | cat"])
async def test_a_command_that_never_stops_writing_is_ended(tmp_path: Path, command: str) -> None:
    found, _ = await run(f"sys.popen($v=echo $$ > {tmp_path}/pid; {command})")
    assert (found["thrown"], "v" in found) == ("popen", False)
    pid = int((tmp_path / "pid").read_text())
    for _ in range(1200):
        if not any(line.split()[4] == str(pid) for line in stats()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("something of it still runs")


def stats() -> list[str]:
    """/proc/PID/stat of all processes that are no zombies; the fifth field is the process group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = path.read_text()
            line = f"{path.parent.name} x {text.rpartition(')')[2]}"
            if line.split()[2] != "Z":
                found.append(line)
    return found


async def test_timestamps() -> None:
    found, _ = await run("sys.getTimestamp(a); sys.getTimestamp(b); sys.subTimestamp(b, a)")
    assert (found["b.tv_sec"], found["b.tv_usec"], found["b.msec"]) == ("0", "1500", "1")


@pytest.mark.parametrize(
    ("number", "left", "files"),
    [
        (0, False, "0"), (20, False, "20"), (21, False, "20 x1"), (21, True, "x1 20"), (3456, False, "3000 400 50 x6"), (100, False, "100"),
        (3456, True, "3000 400 x6 50"), (90, True, "90"), (2000000013, False, "2000000000 13"),
    ],
)  # fmt: skip
async def test_counting(number: int, left: bool, files: str) -> None:
    side = "Left" if left else "Right"
    found, session = await run(f"utils.playCount{side}({number}, de/); utils.getCount{side}NoSuffix({number})")
    assert session.done == [f"play de/{name}.wav" for name in files.split()]
    assert [found[f"count_file[{index}]"] for index in range(len(files.split()))] == files.split()


async def test_text_and_numbers() -> None:
    found, _ = await run(
        'set($a=1); utils.add($a, 2); utils.int($i, $a); set($m=6); utils.mul($m, 7); utils.md5($h, abc); set($r="a-b-c"); utils.replace($r,-=>+);'
        'set($s="x;;y"); utils.splitString($s, ";"); utils.decodeJson($json, $j); set($c="a\\r\\nb"); utils.unescapeCRLF($c);'
        "if utils.isInList(b, 'a, b ,c') { set($in=1) } if utils.startsWith(abc, ab) { set($starts=1) }",
        json='{"a": [1, null, true, 2.5], "b": {"c": "d"}}',
    )
    assert (found["a"], found["i"], found["m"]) == ("3.0", "3", "42")
    assert found["h"] == "900150983cd24fb0d6963f7d28e17f72"
    assert (found["r"], [found[f"s[{n}]"] for n in range(3)]) == ("a+b+c", ["x", "", "y"])
    assert (found["j.a[0]"], found["j.a[1]"], found["j.a[2]"], found["j.a[3]"], found["j.b.c"]) == ("1", "", "true", "2.50", "d")
    assert (found["c"], found["in"], found["starts"]) == ("a\r\nb", "1", "1")


@pytest.mark.parametrize("json", ['{"a": "x\\ud83d"}', '{"a\\udfff": 1}', '["\\ude00\\ud83d"]'])
async def test_half_a_character_in_json_is_refused_where_it_comes_in(json: str) -> None:
    found, _ = await run("utils.decodeJson($json, $j)", json=json)
    assert found["errno"] == "arg" and "half a character" in found["strerror"]
    assert not [name for name in found if name.startswith("j.")]


async def test_a_whole_pair_and_a_byte_of_another_encoding_pass() -> None:
    found, _ = await run("utils.decodeJson($json, $j)", json='{"a": "\\ud83d\\ude00", "b": "\udce9"}')
    assert (found["j.a"], found["j.b"]) == ("\U0001f600", "\udce9")


async def test_uris() -> None:
    found, _ = await run(
        'uri.parseNameaddr($addr, n.); uri.parse(sip:bob@h.example:5070;transport=tcp?X=1); set($e1=$errno); uri.parse("no uri");'
        'set($hdrs=$h); uri.getHeader(x-foo, got); uri.encode($enc="a b/ö"); uri.decode($dec=a%20b)',
        addr='"Al Ice" <sip:alice@d.example>;tag=7', h="X-Foo: one\r\nX-Bar: two\r\n",
    )  # fmt: skip
    assert (found["n.display_name"], found["n.user"], found["n.host"], found["n.uri_param.tag"]) == (
        "Al Ice",
        "alice",
        "d.example",
        "7",
    )
    assert (found["user"], found["port"], found["param"], found["headers"], found["e1"]) == (
        "bob",
        "5070",
        "transport=tcp",
        "X=1",
        "",
    )
    assert (found["errno"], found["got"], found["enc"], found["dec"]) == ("general", "one", "a%20b%2F%C3%B6", "a b")


async def test_conference_monitoring_groups() -> None:
    _, session = await run(
        "conference.join(r, listenonly); conference.leave(); conference.leave(); set($e=$errno); monitoring.log(k, $e);"
        "monitoring.setGlobal(id, a, b);"
        "groups.join(g); groups.getSize($n=g); groups.get($ids=g); groups.postEvent(g, n); conference.setPlayoutType(x)"
    )
    assert session.done == [
        "join r listenonly",
        "leave r",
        "leave",
        "monitor set k script",
        "monitor set id a b",
        "set_playout simple",
    ]


async def test_tee_and_mix_in() -> None:
    session = SimulatedSession()
    session.missing_files.add("none.wav")
    found, _ = await run(
        "conference.teeleave(); set($e0=$errno); conference.teejoin(r); conference.teejoin(s, mine); conference.teeleave(mine); set($e1=$errno);"
        "conference.setupMixIn(0.25, 7); conference.playMixIn(a.wav); conference.playMixInList(b.wav); conference.playMixInList(c.wav, true);"
        "conference.flushMixInList(); conference.setupMixIn(7); conference.setupMixIn(-1); conference.playMixIn(none.wav)", session
    )  # fmt: skip
    assert session.done == [
        "tee_leave conf.teechan", "tee_join r conf.teechan", "tee_join s mine", "tee_leave mine", "set_up_mix_in 0.25 7000",
        "play_mix_in a.wav", "queue_mix_in b.wav", "queue_mix_in c.wav loop", "flush_mix_in", "set_up_mix_in 1.0 0", "set_up_mix_in 0.0 0",
    ]  # fmt: skip
    assert (found["e0"], found["e1"], found["thrown"]) == ("script", "", "file")
    assert session.tees == {"conf.teechan": "r"}


@pytest.mark.parametrize(
    "action", ["conference.setupMixIn(0.5, soon)", "conference.playMixIn(a.wav)", "conference.playMixInList(a.wav)"]
)
async def test_mix_in_throws(action: str) -> None:
    found, session = await run(action)
    assert (found["thrown"], session.done) == ("conference", [])


async def test_python_inside() -> None:
    found, session = await run(
        "py(session.setvar('x', 1 + 1)\nkept = 5); py(session.setvar('y', kept)\nsession.playFile('a.wav')); py(1/0);"
        "if py(kept == 5) { set($yes=1) } if py(1) { set($one=1) }"
    )
    assert (found["x"], found["y"], found["yes"], "one" in found, "thrown" in found) == ("2", "5", "1", False, False)
    assert session.done == ["play a.wav"]
    with pytest.raises(GrammarError, match="does not compile"):
        load("import(mod_py); initial state A enter { py(1 +) };")


async def test_regular_expressions() -> None:
    found, _ = await run(
        'regex.compile(num, "([0-9]+)-([a-z]*)"); regex.match(num, "x12-ab"); if regex.match(num, none) { set($bad=1) }'
        ' regex.compile(broken, "(["); set($e=$errno)'
    )
    assert (found["regex.match"], found["regex.match[1]"], found["regex.match[2]"], "bad" in found, found["e"]) == (
        "1",
        "12",
        "ab",
        False,
        "arg",
    )


async def test_xml() -> None:
    text = "<r xmlns='urn:a'><i>1</i><i>2</i><p>x</p></r>"
    found, _ = await run(
        "xml.parse($text, d); set($d.ns=a=urn:a); xml.evalXPath(//a:i, d); xml.XPathResultCount($n=d.xpath); xml.getXPathResult($v=d.xpath);"
        "xml.updateXPathResult(d.xpath[1]=seven); xml.docDump($out=d); set($errno=); xml.parse(\"<a\", e)", text=text,
    )  # fmt: skip
    assert (found["n"], found["v[0]"], found["v[1]"], "<i>seven</i>" in found["out"], found["errno"]) == (
        "2",
        "1",
        "2",
        True,
        "arg",
    )


async def test_xml_entities_are_not_expanded() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    found, _ = await run("xml.parse($t, d); xml.evalXPath(/a, d); xml.getXPathResult($v=d.xpath)", t=bomb)
    assert "root:" not in found.get("v", "")


@pytest.mark.parametrize(
    ("sql", "filled"),
    [
        ("select '$n'", "select 'O\\'Neil'"), ("select $n", "select O'Neil"), ("where a=\\$n", "where a=\\$n"), ("x='$q'", "x='$n'"),
        ("$q", "$n"), ("$p", "a O'Neil"), ("#k,$none;", "1,;"), ("'a' $i 'b'", "'a' 5 'b'"), ('"$n"', '"O\\\'Neil"'), ("$loop", None),
    ],
)  # fmt: skip
def test_sql_templates(sql: str, filled: str | None) -> None:
    machine = Machine({}, SimulatedSession())
    machine.vars.update(n="O'Neil", q="$n", p="a $n", i="5", loop="$loop")
    got = substitute_sql(sql, Run(machine, Event(Kind.EVENT, {"k": "1"})))
    assert filled is None or got == filled


async def test_mysql_without_a_server_is_errno() -> None:
    found, _ = await run(
        "mysql.query(select 1); set($e1=$errno); mysql.connect(); set($e2=$errno); mysql.connect(x); set($e3=$errno);"
        "mysql.connect(mysql://u:p@127.0.0.1:1/d); set($e4=$errno)"
    )
    assert [found[f"e{n}"] for n in range(1, 5)] == ["connection", "config", "arg", "connection"]


async def _redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers what the test sends, in RESP."""
    while line := await reader.readline():
        words = []
        for _ in range(int(line[1:])):
            await reader.readline()
            words.append((await reader.readline()).strip())
        replies = {
            b"GET": b"$2\r\nhi\r\n",
            b"NOPE": b"-ERR unknown\r\n",
            b"MGET": b"*2\r\n$1\r\na\r\n$-1\r\n",
            b"INCR": b":7\r\n",
        }
        writer.write(replies.get(words[0], b"+OK\r\n"))
    writer.close()


async def test_redis() -> None:
    server = await asyncio.start_server(_redis, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        found, _ = await run(
            f'redis.connect("redis://tcp:127.0.0.1;port={port}"); set($e0=$errno); redis.execCommand($a=GET $key); redis.execCommand($m=MGET a b);'
            "redis.appendCommand(INCR x); redis.appendCommand(NOPE); redis.getReply($i); redis.getReply($j); set($e1=$errno); redis.disconnect();"
            "redis.execCommand($z=GET k)"
        )
    assert (found["e0"], found["a"], found["m[0]"], found["m[1]"], found["i"], found["e1"]) == (
        "",
        "hi",
        "a",
        "nil",
        "7",
        "write",
    )
    assert found["errno"] == "connection"


@pytest.mark.parametrize("action", ["zrtp.setEnabled(true)", "sbc.setLastReq()"])
def test_what_cannot_work_is_refused_at_load(action: str) -> None:
    module = action.split(".", maxsplit=1)[0]
    with pytest.raises(GrammarError, match=r"cannot work|no ZRTP"):
        load(f"import(mod_{module}); initial state A enter {{ {action} }};")


def test_sbc_actions_throw_outside_a_leg() -> None:
    scene = Scene(
        "import(mod_sbc); initial state A; state B; transition t A - key; not sbc.isALeg / sbc.putOnHold() -> A;"
        "transition x A - exception; test(#type==param) -> B;"
    )
    scene.key(1)
    assert scene.state == "B"


def test_a_module_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mod_own.py").write_text(
        "from di.dsm.api import Res, Run, Var, action, condition\n\n@action('own.upper')\ndef upper(run: Run, text: Res, target: Var) -> None:\n"
        "    run.vars[target] = text.upper()\n\n@condition('own.yes')\ndef yes(run: Run, text: Res) -> bool:\n    return text == 'yes'\n"
    )
    library = Modules().find("mod_own", str(tmp_path))
    assert set(library.actions) == {"own.upper"} and set(library.conditions) == {"own.yes"}
    (tmp_path / "mod_bad.py").write_text("1/0\n")
    with pytest.raises(DsmError, match="ZeroDivisionError"):
        Modules().find("mod_bad", str(tmp_path))


async def test_the_module_in_the_docs(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "dsm-modules.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "mod_weather.py").write_text(code + "\nasync def ask_somebody(city: str) -> str:\n    return 'rain in ' + city\n")
    modules = Modules()
    text = (
        "import(mod_weather); initial state A enter { set($c=Bergen); weather.get($c, $w); if weather.raining(Bergen) { set($wet=1) }"
        " if weather.raining(Rome) { set($dry=no) } };"
    )
    reading = read_diagram(
        "t", "t", text, loader=MemoryFiles(), core=core_library(), find_module=lambda name: modules.find(name, str(tmp_path))
    )
    assert reading.diagram is not None
    machine = Machine({"t": reading.diagram}, SimulatedSession())
    waiting = deliver(machine.start("t", Kind.START))
    assert waiting is not None
    await waiting
    assert (machine.vars["w"], machine.vars["wet"], "dry" in machine.vars) == ("rain in Bergen", "1", False)
