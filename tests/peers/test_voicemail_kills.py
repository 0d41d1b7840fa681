# SPDX-License-Identifier: GPL-2.0-or-later
"""kill -9 of hub and media process at random moments of greeting, recording, storing and delivery, again and again, with real callers.

What a caller was told to be kept is there, once, with his tone; what is there is whole; a mail arrives twice only where the log says that
it may. A caller's tone is his own, so that no message can be taken for another.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.support import tones
from tests.support.mail_server import MailServerPeer
from tests.support.phone import Phone
from tests.support.rtp_peer import Peer, PeerGroup
from tests.support.server import Server, wait_until
from tests.support.sizes import LONG, size
from tests.support.voicemail import (
    BEEP_HZ,
    HEARD,
    PLUGINS,
    SILENCE_END_S,
    STORED_HZ,
    configuration,
    param,
    sound_of,
    write_prompts,
)

pytestmark = pytest.mark.peers

KILLS = int(os.environ.get("CORDBOARD_KILLS", size(1, 200)))
CALLERS = 4
SPEAK_MS = 600
MODES = ("box", "both", "voicemail")


@dataclass(eq=False)
class KilledCaller:
    """One who calls while the server may die: never waits for an answer, notes what he hears."""

    name: str
    mode: str
    tone_hz: float
    phone: Phone
    peer: Peer
    hangs_up_ms: int
    """After so much speech he hangs up; 0: he waits for what he is told."""
    spoken_ms: int = 0
    told: bool = False
    late: bool = False
    """His silence had ended the recording before he had said all: a busy machine kept him from speaking, and what was kept is short or empty."""
    gone: bool = False
    quiet_s: float = 0.0
    """The longest that the server has waited for his voice since the beep."""
    spoke_s: float = field(default_factory=time.monotonic)
    """When he last spoke, or had not heard the beep yet."""

    def step(self, ms: int) -> None:
        """So much time has passed."""
        if self.gone:
            return
        if self.peer.remote is None:
            self._look_for_the_answer()
            return
        notes = tones.loudest(self.peer.heard(), HEARD, 50)
        now_s = time.monotonic()
        self.quiet_s = max(self.quiet_s, now_s - self.spoke_s)
        if STORED_HZ in notes and not self.told:
            self.told, self.late = True, self.spoken_ms < SPEAK_MS and self.quiet_s > SILENCE_END_S / 2
        if BEEP_HZ not in notes:
            self.quiet_s, self.spoke_s = 0.0, now_s
        elif 0 < self.spoken_ms <= SPEAK_MS:
            self.spoke_s = now_s
        if self.spoken_ms == 0 and not (BEEP_HZ in notes and notes[-1] == 0):
            return
        speaking = self.spoken_ms < SPEAK_MS
        self.peer.samples = tones.tone(self.tone_hz, 1000) if speaking else np.zeros(160, np.int16)
        self.spoken_ms += ms
        if self.hangs_up_ms and self.spoken_ms > self.hangs_up_ms:
            self.phone._cseq += 1
            self.phone._send("BYE", "", self.phone._cseq)
            self.gone = True

    def _look_for_the_answer(self) -> None:
        try:
            self.phone.answered(0.001)
        except AssertionError:  # not yet, or never
            return


@dataclass
class Toll:
    """All callers of a test, and what the logs of all servers said."""

    callers: list[KilledCaller] = field(default_factory=list)
    doubts: set[str] = field(default_factory=set)
    chance: random.Random = field(default_factory=random.Random)

    def read_log(self, log: str) -> None:
        """Note what a server said to be in doubt."""
        self.doubts |= set(re.findall(r"it may have arrived; it is sent again as the same (<\S+>)", log))
        assert "Traceback" not in log, log

    def make(self, server: Server, group: PeerGroup, kill: int) -> list[KilledCaller]:
        """Callers of one round, who call now."""
        made = []
        for number in range(CALLERS):
            name, peer = f"k{kill}c{number}", group.peer()
            phone = Phone(server.sip_port, peer)
            mode = self.chance.choice(MODES)
            phone.headers = param(mode, snd=f"sip:{name}@there.example", uid=name)
            phone._target, phone._remote = f"sip:anna@127.0.0.1:{server.sip_port}", "<sip:anna@127.0.0.1>"
            hangs_up_ms = self.chance.choice((0, 0, self.chance.randrange(100, 1500)))
            made.append(KilledCaller(name, mode, 1100.0 + 50 * self.chance.randrange(30), phone, peer, hangs_up_ms))
        self.callers += made
        return made


@pytest.fixture(scope="module")
def mail_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServerPeer]:
    with MailServerPeer(tmp_path_factory.mktemp("smtp")) as running:
        running.delay_s = 0.05
        yield running


def kill_hub(server: Server, toll: Toll) -> None:
    """And wait until its children have gone, too: they leave by themselves."""
    children = server.children()
    os.kill(server.pid, signal.SIGKILL)
    server.wait_status()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children.values()), "the children leave")
    toll.read_log(server.log)
    server.forget_log()
    server.start()


def kill_media(server: Server) -> None:
    """And wait until there is another."""
    old = server.children()["media"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: server.children().get("media", old) != old and is_ready(server), "the media process is back")


def is_ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.web_port}/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


@pytest.mark.timeout(7200 if LONG else 120)
def test_nothing_that_was_said_to_be_kept_is_lost_or_doubled(tmp_path: Path, mail_server: MailServerPeer) -> None:
    server, toll = Server(tmp_path, configuration(mail_server), "loglevel=2", PLUGINS, start=False), Toll()
    write_prompts(server.etc)
    with server:
        server.start()
        for kill in range(KILLS):
            with PeerGroup() as group:
                callers = toll.make(server, group, kill)
                moment_ms = toll.chance.randrange(200, 4500)
                for now_ms in range(0, moment_ms, 50):
                    if now_ms % 200 == 0 and now_ms // 200 < len(callers):
                        callers[now_ms // 200].phone.invite()
                    group.run_ms(50)
                    for caller in callers:
                        caller.step(50)
                if kill % 2:
                    kill_media(server)
                else:
                    kill_hub(server, toll)
        spool = server.etc / "spool" / "disk" / "voicemail"
        wait_until(lambda: not list(spool.glob("*.wav")), "all recordings are handed over", 120)
        wait_until(
            lambda: server.json("mail.status")["waiting"] == 0 == server.json("mail.status")["given_up"],
            "all mails are sent",
            120,
        )
        toll.read_log(server.log)
    check(toll, server, mail_server)


def check(toll: Toll, server: Server, mail_server: MailServerPeer) -> None:
    """Who was told that his message is kept has it in each place where it was to go, once; nothing is broken."""
    boxes = server.etc / "spool" / "boxes" / "3"
    problems, kept = [], 0
    for caller in toll.callers:
        in_box = [path.read_bytes() for path in (boxes / caller.name).glob("*.wav") if path.stat().st_size]
        of_caller = [mail for mail in mail_server.mails if f"sip:{caller.name}@" in str(mail.message["Subject"])]
        mails = {mail.message_id: mail.attachment() for mail in of_caller}
        wanted = {"box": (1, 0), "both": (1, 1), "voicemail": (0, 1)}[caller.mode]
        there = len(in_box), len(mails)
        if caller.told and there != wanted:
            problems.append(f"{caller.name}: told that it is kept, but of {wanted} (box, mail) {there} are there")
        if there[0] > wanted[0] or there[1] > wanted[1]:
            problems.append(f"{caller.name}: twice: of {wanted} (box, mail) {there} are there")
        for data in (*in_box, *mails.values()):
            problems += [f"{caller.name}: {what}" for what in broken(sound_of(data), caller)]
            kept += 1
    twice = {message_id for message_id, count in mail_server.ids().items() if count > 1}
    if twice - toll.doubts:
        problems.append(f"mails that arrived twice, and no log said that they might: {twice - toll.doubts}")
    told = sum(caller.told for caller in toll.callers)
    print(f"{KILLS} kills, {len(toll.callers)} callers, {told} told that it is kept, {kept} messages, {len(twice)} mails twice")
    assert not problems, "\n".join(problems)
    assert told or not LONG


def broken(sound: np.ndarray, caller: KilledCaller) -> list[str]:
    """What is wrong with a message: it holds its caller's tone; of who was told that it is kept, all of it."""
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 400)
    if len(loud) <= 800:
        return ["silence"] if caller.told and not caller.late else []
    wrong = []
    frames = [sound[at : at + 160] for at in range(loud[0] + 160, loud[-1] - 320, 160)]
    right = sum(tones.level(frame, caller.tone_hz) > 4000 for frame in frames)
    quiet = sum(int(np.abs(frame.astype(int)).max()) < 2000 for frame in frames)  # a busy test sends late
    if right < 5 or right + quiet < 0.6 * len(frames):
        wrong.append(f"his tone is in {right} of {len(frames)} frames, {quiet} are quiet")
    if caller.told and not caller.late and loud[-1] - loud[0] < SPEAK_MS * 8 - 800:
        wrong.append(f"cut: {loud[-1] - loud[0]} samples")
    return wrong
