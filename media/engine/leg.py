# SPDX-License-Identifier: GPL-2.0-or-later
"""What the engine keeps of a leg beside its table row: everything that only commands and rare events touch."""

from __future__ import annotations

from dataclasses import dataclass, field

from media.codecs.codec import Codec, Coder
from media.control.records import ConnectLeg, SetLegAudio, Srtp
from media.engine.playlist import Playlist
from media.engine.ports import Port, Remote
from media.rtp.telephone_event import PressReceiver, PressSender


@dataclass(slots=True)
class AudioSettings:
    """The standing outcome of SetLegAudio commands."""

    muted: bool = False
    deaf: bool = False
    send_muted: bool = False
    receive_off: bool = False
    attached_input: bool = True
    attached_output: bool = True
    gain_db: float = 0.0

    def change(self, command: SetLegAudio) -> None:
        """Take over what the command does not leave as it is."""
        self.muted = self.muted if command.muted is None else command.muted
        self.deaf = self.deaf if command.deaf is None else command.deaf
        self.send_muted = self.send_muted if command.send_muted is None else command.send_muted
        self.receive_off = self.receive_off if command.receive_off is None else command.receive_off
        self.attached_input = self.attached_input if command.attached_input is None else command.attached_input
        self.attached_output = self.attached_output if command.attached_output is None else command.attached_output
        self.gain_db = self.gain_db if command.gain_db is None else command.gain_db


@dataclass(slots=True)
class Candidate:
    """A source that may become a leg's: so many packets in sequence have come from it."""

    name: bytes
    ssrc: int
    sequence: int
    first_ns: int
    """When its first packet in sequence came."""
    last_ns: int
    count: int = 1


@dataclass(slots=True, eq=False)
class Leg:
    """One leg. `address`: number of our RTP address (OpenLeg) · `signalled`: where its SDP says it receives · `latched_name`: another address
    that its packets come from.
    """

    number: int
    row: int
    port: Port
    address: int
    signalled: Remote | None = None
    signalled_name: bytes = b""
    latched_name: bytes = b""
    latched_from_ns: int = 0  # when the stream from there began
    latched_first: tuple[int, int] = (0, 0)  # arrival and transit of the first packet after latching; (0, 0): none yet
    moved: bool = False  # is sent to there, though it is a port of the signalled host
    known_ns: int = 0  # when its peer showed that it had our description; 0: it has not
    known_early: bool = False  # and it had long had one
    rtcp_name: bytes = b""  # where its SDP says that it takes reports
    reports_name: bytes = b""  # one port below the one that its reports come from
    changed_ns: int = 0  # when its peer changed to another codec
    connection: ConnectLeg | None = None
    srtp: Srtp | None = None  # what its packets are protected with now
    codec: Codec | None = None
    playlist: Playlist = field(default_factory=Playlist)
    audio: AudioSettings = field(default_factory=AudioSettings)
    presses: PressReceiver = field(default_factory=PressReceiver)
    press_sender: PressSender = field(default_factory=PressSender)
    press_ts: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    signalling: frozenset[bytes] = frozenset()
    """Hosts that the peer's signalling came from, as a sockaddr has them."""
    coder: Coder | None = None
    coded_sequence: int = -1  # of the newest payload decoded
    coded_old: int = 0  # older ones in a row, and what would follow them
    coded_next: int = -1
    coded_ts: int = 0  # and its timestamp, in samples
    playout: str = "adaptive"
    bridged_to: int = 0  # number of the leg that the current item bridges to
