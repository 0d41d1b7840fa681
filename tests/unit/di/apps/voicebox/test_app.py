# SPDX-License-Identifier: GPL-2.0-or-later
"""A caller in a box: what is said, what keys do, how the call ends (spec applications.md §14)."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

import pytest

from di.apps.speech import ENGLISH, vocabulary
from di.apps.voicebox import PLUGIN
from di.apps.voicebox.walk import COUNTS, MENU, TIMES
from di.calls.session import Session
from di.kernel.clock import Tasks
from di.kernel.errors import ConfigError
from di.sip import records as sip
from di.stores.messages import MESSAGES, BoxOwner
from media.control import records
from media.control.play_items import PlayFile
from tests.support.boxes import MemoryMessages
from tests.support.playbook import Playbook

ROOT = Path(__file__).resolve().parents[5]
ANN = BoxOwner("shop.example", "ann")
CONF = "prompt_base_path=prompts/\nlanguages=en(digits=right);de(digits=left);fr\ndefault_language=en\nkey_timeout=30\n"


def prompts(folder: Path, names: tuple[str, ...] | frozenset[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.wav").write_bytes(b"")


class Desk:
    """A box and callers of it."""

    def __init__(self, folder: Path, conf: str = CONF, own_prompts: bool = True) -> None:
        for language, names in (("en", (*MENU, *COUNTS)), ("de", (*MENU, *COUNTS)), ("fr", MENU)) if own_prompts else ():
            prompts(folder / "prompts" / language, names)
        self.messages = MemoryMessages(folder)
        self.book = Playbook(conf_dir=folder, mapping="^sip:=>voicebox\n")
        self.book.sessions.spawn = Tasks().spawn  # type: ignore[method-assign]
        self.book.services.capabilities.provide(MESSAGES, self.messages)
        self.book.load(PLUGIN, conf)

    async def settle(self) -> None:
        for _ in range(12):
            await asyncio.sleep(0)
            self.book.run()

    async def call(self, params: str | None = "uid=ann;did=shop.example") -> Session:
        headers = (("P-App-Param", params),) if params is not None else ()
        session = self.book.up("box", headers)
        await self.settle()
        return session

    def playing(self, session: Session) -> list[str]:
        return self.book.media.files(session.leg)

    async def hear(self, session: Session, count: int | None = None) -> list[str]:
        """Let so many files be played, or all; their names."""
        heard: list[str] = []
        while self.book.media.current(session.leg) is not None and (count is None or len(heard) < count):
            heard.append(self.playing(session)[0])
            self.book.media.finish_item(session.leg)
            await self.settle()
            if session.gone:
                break
        return heard

    async def press(self, session: Session, keys: str) -> None:
        for key in keys:
            self.book.media.press(session.leg, key)
            await self.settle()

    def over(self, session: Session) -> bool:
        return bool(self.book.sip.of(sip.Hangup, session.call))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_the_way_through_a_box(desk: Desk) -> None:
    for name, new in (("30+bob.wav", True), ("20+eve.wav", True), ("10+old.wav", False)):
        desk.messages.put(ANN, name, new)
    session = await desk.call()
    said = ["you_have", "2", "new_msgs", "and", "saved_msg", "first_new_msg"]
    assert desk.playing(session) == [*said, "30+bob", "msg_menu"]
    await desk.press(session, "3")  # not yet: the message has not begun
    assert desk.messages.boxes[ANN]["30+bob.wav"].new
    assert await desk.hear(session, 6) == said
    assert not desk.messages.boxes[ANN]["30+bob.wav"].new, "it is marked read in the moment in which it begins"
    await desk.press(session, "94")  # a key without a meaning; start over is for the last message
    assert await desk.hear(session) == ["30+bob", "msg_menu"]
    await desk.press(session, "1")
    assert await desk.hear(session) == ["30+bob", "msg_menu"]
    await desk.press(session, "2")
    assert desk.playing(session) == ["msg_saved", "next_new_msg", "20+eve", "msg_menu"]
    await desk.hear(session, 3)
    await desk.press(session, "3")
    assert "20+eve.wav" not in desk.messages.boxes[ANN]
    assert desk.playing(session) == ["msg_deleted", "first_saved_msg", "10+old", "msg_end_menu"]
    await desk.hear(session)
    await desk.press(session, "2")
    assert await desk.hear(session) == ["msg_saved", "no_more_msg"]
    await desk.press(session, "1239")
    assert desk.playing(session) == [] and not desk.over(session)
    await desk.press(session, "4")
    assert desk.playing(session) == ["first_saved_msg", "30+bob", "msg_menu"]
    await desk.hear(session, 1)
    await desk.press(session, "3")
    await desk.hear(session, 2)
    await desk.press(session, "3")
    assert await desk.hear(session) == ["msg_deleted", "no_msg"]
    assert desk.over(session) and desk.messages.boxes[ANN] == {}


async def test_start_over_at_the_last_message(desk: Desk) -> None:
    desk.messages.put(ANN, "10.wav")
    session = await desk.call()
    assert await desk.hear(session, 3) == ["you_have", "new_msg", "first_new_msg"]
    desk.messages.put(ANN, "11.wav")
    await desk.press(session, "4")
    assert desk.playing(session) == ["first_new_msg", "11", "msg_menu"], "what has come meanwhile is there, too"
    await desk.hear(session, 2)
    await desk.press(session, "2")
    assert desk.playing(session) == ["msg_saved", "first_saved_msg", "10", "msg_end_menu"]


@pytest.mark.parametrize("sizes", [(), (0, 0)])
async def test_an_empty_box(desk: Desk, sizes: tuple[int, ...]) -> None:
    for number, size in enumerate(sizes):
        desk.messages.put(ANN, f"{number}.wav", size_bytes=size)
    session = await desk.call()
    assert await desk.hear(session) == ["no_msg"]
    assert desk.over(session)


@pytest.mark.parametrize(
    ("language", "new", "said"),
    [
        ("en", 21, ["you_have", "20", "x1", "new_msgs"]),
        ("de", 21, ["you_have", "x1", "20", "new_msgs"]),
        ("de-AT", 21, ["you_have", "x1", "20", "new_msgs"]),
        ("fr", 1, ["you_have", "new_msgs"]),
        ("nn", 1, ["you_have", "new_msg"]),
        ("", 19, ["you_have", "19", "new_msgs"]),
        ("en", 99, ["you_have", "90", "x9", "new_msgs"]),
        ("en", 100, ["you_have", "new_msgs"]),
    ],
)
async def test_counts_by_language(desk: Desk, language: str, new: int, said: list[str]) -> None:
    for number in range(new):
        desk.messages.put(ANN, f"{number:03}.wav")
    session = await desk.call(f"usr=ann;dom=shop.example;lng={language}")
    assert desk.playing(session)[: len(said)] == said


async def test_the_moment_is_said_where_its_prompts_are(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prompts(tmp_path / "prompts" / "en", (*TIMES, *sorted(vocabulary(ENGLISH))))
    desk = Desk(tmp_path, CONF + "say_time=yes\n")
    now_s = desk.book.clock.epoch_s()
    yesterday = datetime.fromtimestamp(now_s - 86_400).replace(hour=8, minute=5)
    desk.messages.put(ANN, "1.wav", stored_ns=int(yesterday.timestamp()) * 1_000_000_000)
    session = await desk.call()
    when = ["received", "yesterday", "at", "8", "oh", "5", "am"]
    assert desk.playing(session) == ["you_have", "new_msg", "first_new_msg", *when, "1", "msg_end_menu"]
    desk.messages.put(BoxOwner("shop.example", "ben"), "1.wav", stored_ns=1 << 80)
    strange = await desk.call("uid=ben;did=shop.example")
    assert desk.playing(strange)[3:] == ["1", "msg_end_menu"], "a file may have any time"
    german = await desk.call("uid=ann;did=shop.example;lng=de")
    assert desk.playing(german)[:4] == ["you_have", "new_msg", "first_new_msg", "1"]
    assert len([r for r in caplog.records if "prompts that it could use" in r.getMessage()]) == 1


# ----------------------------------------------------------------------------------------------------------------------- PIN
async def test_the_pin(desk: Desk) -> None:
    desk.messages.put(ANN, "1.wav")
    session = await desk.call("uid=ann;did=shop.example;pin=1234")
    assert desk.playing(session) == ["pin_prompt"]
    await desk.press(session, "12")
    assert desk.playing(session) == []
    await desk.press(session, "#")
    assert desk.playing(session) == ["pin_prompt"]
    await desk.press(session, "1234")
    assert desk.playing(session)[:1] == ["you_have"]


async def test_a_hook_flash_is_no_pin(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    session = await desk.call("uid=ann;did=shop.example;pin=12")
    desk.book.sessions.on_media_event(records.DigitPressed(session.leg, 16, 100, "rtp"))
    await desk.settle()
    assert desk.playing(session) == ["pin_prompt"] and "audit" not in caplog.text


async def test_a_wrong_pin_is_entered_three_times_at_most(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    session = await desk.call("uid=ann;did=shop.example;pin=1234")
    await desk.press(session, "1#2*3#")
    assert desk.playing(session) == ["bye"]
    await desk.press(session, "1234")
    assert await desk.hear(session) == ["bye"]
    assert desk.over(session) and caplog.text.count("audit wrong voicebox PIN") == 3
    assert "1234" not in caplog.text


async def test_guesses_are_counted_over_all_calls(desk: Desk) -> None:
    desk.messages.put(ANN, "1.wav")
    desk.book._next_call = 99
    for _ in range(2):
        desk.book._next_call = 99  # the same caller
        session = await desk.call("uid=ann;did=shop.example;pin=1234")
        await desk.press(session, "1#2#3#")
        await desk.hear(session)
    desk.book._next_call = 99
    session = await desk.call("uid=ann;did=shop.example;pin=1234")
    await desk.press(session, "1234")
    assert desk.playing(session) == [], "the right one does not open, for it may be a guess"
    desk.book.run(25)
    await desk.press(session, "*")
    await desk.press(session, "1234")
    assert desk.playing(session)[:1] == ["you_have"]


# ---------------------------------------------------------------------------------------------------------------- what is silent
async def test_who_presses_nothing_is_let_go(desk: Desk) -> None:
    desk.messages.put(ANN, "1.wav")
    session = await desk.call()
    desk.book.run(300)
    assert desk.playing(session)[0] == "you_have", "the time does not run while something is played"
    await desk.hear(session)
    desk.book.run(29)
    await desk.press(session, "9")
    desk.book.run(29)
    assert desk.playing(session) == []
    desk.book.run(2)
    assert await desk.hear(session) == ["bye"] and desk.over(session)


async def test_who_enters_no_pin_is_let_go(desk: Desk) -> None:
    session = await desk.call("uid=ann;did=shop.example;pin=1234")
    await desk.press(session, "12")
    desk.book.run(31)
    assert await desk.hear(session) == ["bye"] and desk.over(session)


async def test_a_key_and_the_end_of_a_prompt_may_cross(desk: Desk) -> None:
    """The media process says that the playlist is empty before it has heard that something else is to be played."""
    desk.messages.put(ANN, "2.wav")
    desk.messages.put(ANN, "1.wav")
    session = await desk.call()
    await desk.hear(session, 5)
    await desk.press(session, "2")
    desk.book.sessions.on_media_event(records.SeparatorReached(session.leg, 2))
    desk.book.sessions.on_media_event(records.PlaylistEmptied(session.leg))
    await desk.settle()
    desk.book.run(100)
    await desk.settle()
    assert desk.playing(session)[0] == "msg_saved" and not desk.over(session)
    await desk.hear(session)
    await desk.press(session, "3")
    await desk.hear(session)
    await desk.press(session, "4")
    await desk.hear(session, 1)
    await desk.press(session, "3")
    desk.book.sessions.on_media_event(records.PlaylistEmptied(session.leg))
    await desk.settle()
    assert desk.playing(session) == ["msg_deleted", "no_msg"] and not desk.over(session), "the last words are said"


# ------------------------------------------------------------------------------------------------------------------- trouble
async def test_a_message_that_has_gone_is_passed_over(desk: Desk) -> None:
    for name in ("3.wav", "2.wav", "1.wav"):
        desk.messages.put(ANN, name)
    session = await desk.call()
    await desk.hear(session, 4)
    del desk.messages.boxes[ANN]["2.wav"]
    await desk.press(session, "2")
    assert desk.playing(session) == ["msg_saved", "next_new_msg", "1", "msg_end_menu"]
    del desk.messages.boxes[ANN]["1.wav"]
    await desk.hear(session, 2)
    await desk.press(session, "3")
    assert desk.playing(session) == ["msg_deleted", "no_more_msg"]


async def test_a_box_that_cannot_be_read_is_not_called_empty(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.messages.unreadable = True
    session = await desk.call()
    assert await desk.hear(session) == ["bye"] and desk.over(session)
    assert f"call {session.id}: voicebox: the box of ann@shop.example cannot be read" in caplog.text


async def test_what_cannot_be_deleted_is_not_called_deleted(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.messages.put(ANN, "1.wav")
    desk.messages.undeletable = True
    session = await desk.call()
    await desk.hear(session)
    await desk.press(session, "3")
    assert desk.playing(session) == ["msg_end_menu"] and "cannot be deleted" in caplog.text
    desk.messages.undeletable = False
    await desk.press(session, "3")
    assert desk.playing(session) == ["msg_deleted", "no_msg"]


async def test_a_prompt_that_has_gone_is_one_line_and_the_call_goes_on(
    desk: Desk, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    desk.messages.put(ANN, "1.wav")
    (tmp_path / "prompts" / "en" / "msg_end_menu.wav").unlink()
    session = await desk.call()
    assert await desk.hear(session) == ["you_have", "new_msg", "first_new_msg", "1"]
    assert caplog.text.count("msg_end_menu") == 1
    await desk.press(session, "3")
    assert await desk.hear(session) == ["msg_deleted", "no_msg"]


@pytest.mark.parametrize("presses", ["", "1", "2", "3", "4"])
async def test_hanging_up_at_any_point(desk: Desk, presses: str) -> None:
    desk.messages.put(ANN, "1.wav")
    for count in range(6):
        session = await desk.call()
        await desk.hear(session, count)
        for key in presses:
            desk.book.media.press(session.leg, key)
        desk.book.bye(session)
        await desk.settle()
        assert session.gone
    assert len(desk.book.sessions) == 0


# -------------------------------------------------------------------------------------------------------------- who may call
@pytest.mark.parametrize(
    ("params", "reply"),
    [
        (None, "voicebox: parameters not found"),
        ("did=shop.example", "voicebox: user missing"),
        ("lng=en", "voicebox: user missing"),
    ],
)
async def test_errors_in_semss_words(desk: Desk, params: str | None, reply: str) -> None:
    call = desk.book.offer("box", (("P-App-Param", params),) if params else ())
    (answer,) = [c for c in desk.book.sip.commands if isinstance(c, (sip.Answer, sip.Hangup)) and c.call == call]
    assert (answer.code, answer.reason) == (500, reply)


async def test_uid_goes_before_usr_and_the_host_is_the_last_resort(desk: Desk) -> None:
    desk.messages.put(BoxOwner("here.example", "u1"), "1.wav")
    session = await desk.call("usr=ann;uid=u1")
    assert "1" in desk.playing(session)


async def test_parameters_of_a_stranger_do_not_count(desk: Desk) -> None:
    desk.book.source_ip = "203.0.113.9"
    call = desk.book.offer("box", (("P-App-Param", "uid=ann;did=shop.example"),))
    assert desk.book.answers(call) == [500]


async def test_simple_mode_takes_the_callers_own_box_from_who_is_trusted(tmp_path: Path) -> None:
    desk = Desk(tmp_path, CONF + "simple_mode=yes\n")
    desk.messages.put(BoxOwner("default", "caller1"), "1.wav")
    session = await desk.call(None)
    assert "1" in desk.playing(session)
    desk.book.source_ip = "203.0.113.9"
    assert desk.book.answers(desk.book.offer("box")) == [403]


async def test_a_domain_has_its_own_prompts(tmp_path: Path) -> None:
    prompts(tmp_path / "prompts" / "own.example" / "en", (*MENU, *COUNTS))
    desk = Desk(tmp_path, CONF + "domains=own.example\n")
    session = await desk.call("uid=ann;did=own.example;lng=en")
    current = desk.book.media.current(session.leg)
    assert str(tmp_path / "prompts" / "own.example") in str(current)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("prompt_base_path=nowhere/", "there is no complete set of prompts"),
        ("languages=en(digits=up)", "name(digits=right) or name(digits=left)"),
        ("domains=../x", "no name of a folder"),
        ("default_language=xx", "none of languages"),
        ("save_key=3", "four different keys"),
        ("save_key=16", "from 0 to 15"),
    ],
)
def test_a_configuration_that_cannot_be_used(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Desk(tmp_path, CONF.replace(line.partition("=")[0] + "=", "#") + line + "\n")
    assert said in str(caught.value)


async def test_the_sample_configuration_has_all_prompts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What etc/ names is there once `cordboard prompts` has run: both languages, numbers and moments."""
    (tmp_path / "prompts").symlink_to(ROOT / "etc" / "prompts")
    desk = Desk(tmp_path, (ROOT / "etc" / "voicebox.conf").read_text(), own_prompts=False)
    assert caplog.records == []
    now_s = desk.book.clock.epoch_s()
    desk.messages.put(ANN, "1.wav", stored_ns=int(now_s) * 1_000_000_000)
    for language, tag in (("en", "en"), ("de-CH", "de"), ("", "en")):
        session = await desk.call(f"uid=ann;did=shop.example;lng={language}")
        heard = desk.book.media.legs[session.leg].playlist
        assert isinstance(heard[0], PlayFile) and Path(heard[0].path).parent.name == tag
        assert "received" in desk.playing(session) and "today" in desk.playing(session)
