# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that hub and media process say to each other.

Commands are imperatives (hub → media), events past-tense nouns (media → hub). A leg is named by an int that the hub chooses and never
reuses within a media process's life. Files are paths that the hub has already checked against its jails.

Life of a leg: OpenLeg → LegOpened (its RTP address stands in our SDP) → ConnectLeg whenever offer/answer completes or changes →
Playlist, SetLegAudio, … → CloseLeg. A leg that is not connected neither sends nor receives.
Recordings stand in `media.control.recording_records`, what playlists hold in `media.control.play_items`.
"""

from __future__ import annotations

import re
from dataclasses import field
from ipaddress import ip_address
from typing import TypeAlias, TypeGuard, get_args

from media.control.play_items import PlayItem, Sound
from media.control.quick_records import record
from media.control.recording_records import (
    CallRecordingStopped,
    LegRecording,
    RecordingStopped,
    RoomRecording,
    RoomRecordingStopped,
)


@record(frozen=True, slots=True)
class AudioFormat:
    """A codec as session descriptions know it.

    `name`: as its rtpmap spells it · `clock_hz`: RTP clock · `channels`: as its rtpmap says · `payload_type`: static number, -1 when
    it has none · `rate_hz`: samples a second · `bit_rate`: most bits a second that we send · `fmtp`: our own parameters.
    """

    name: str
    clock_hz: int
    channels: int = 1
    payload_type: int = -1
    rate_hz: int = 8000
    bit_rate: int = 64000
    fmtp: str = ""

    @property
    def codec(self) -> str:
        """Name in upper case and clock: what the hub calls it."""
        return f"{self.name.upper()}/{self.clock_hz}"


@record(frozen=True, slots=True)
class ReceivedFormat:
    """A payload type that a peer may send beside the usual one, and what it stands for: `codec` is its rtpmap name in upper case.

    `payload_type_send`: its number when we send it.
    """

    payload_type: int
    payload_type_send: int
    codec: str
    clock_hz: int
    channels: int = 1
    fmtp: str = ""


@record(frozen=True, slots=True)
class RtpAddress:
    """Where legs may be: an IP address of ours, and the RTP ports that may be used there. `port_high`: the last RTCP port."""

    ip: str = "127.0.0.1"
    port_low: int = 10000
    port_high: int = 19999

    @property
    def ipv6(self) -> bool:
        """Its family."""
        return ":" in self.ip

    def __str__(self) -> str:
        return f"{f'[{self.ip}]' if self.ipv6 else self.ip}:{self.port_low}-{self.port_high}"

    @classmethod
    def parse(cls, text: str) -> RtpAddress:
        """Read `ip:low-high`, an IPv6 address in brackets, as `str` writes it. Raises ValueError."""
        match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+):([0-9]{1,5})-([0-9]{1,5})", text)
        if match is None:
            raise ValueError(f"{text!r}: right is ip:low-high, an IPv6 address in brackets")
        return cls(str(ip_address(match[1].strip("[]"))), int(match[2]), int(match[3]))


@record(frozen=True, slots=True)
class SrtpKey:
    """A master key with its salt behind it, never printed. `mki`: what its packets carry to name it (RFC 3711 §3.1); empty: nothing."""

    key: bytes = field(repr=False)
    mki: bytes = b""


@record(frozen=True, slots=True)
class Srtp:
    """How a leg's packets are protected. `suite`: its name of RFC 4568 §6.2 or RFC 7714 §14.2.

    `sent`: our master key and salt · `received`: the peer's keys, all of them with an MKI of one length or the only one without.
    """

    suite: str
    sent: bytes = field(repr=False)
    received: tuple[SrtpKey, ...] = field(repr=False)


# ---------------------------------------------------------------------------------------------------------------- commands
@record(frozen=True, slots=True)
class OpenLeg:
    """Reserve an RTP port for a leg; answered by LegOpened or LegFailed.

    `remote_ip`/`remote_port`: where the offer says the peer receives, if known (0: not yet); it only helps to choose a port that no
    other unlatched leg shares. `address`: number of the RTP address that it is to be at, as the media process was told at start; where that
    is not of the family that `ipv6` asks for, it is at the first one that is. `room` it will probably be in and leg `near` it will probably
    be bridged to: hints for which of several media processes gets it (``di.media_control.router``).
    """

    leg: int
    remote_ip: str = ""
    remote_port: int = 0
    ipv6: bool = False
    room: str = ""
    near: int = 0
    address: int = 0


@record(frozen=True, slots=True)
class ConnectLeg:
    """Give a leg the outcome of offer/answer, first or changed (re-INVITE, hold).

    `codec`: rtpmap name in upper case, e.g. PCMU; `clock_hz`: its RTP clock. `dtmf_*`: telephone-event payload type, -1 for none, and
    its clock. `also`: what else the peer may send. `rtcp_*`: where our reports go to (RFC 3605); port 0: one above the peer's RTP.
    `symmetric`: a source that the leg has latched to may be sent to, instead of the signalled address (``media.engine.latching``).
    `signalling`: addresses that the peer's signalling came from, from which its media may come, too (``media.engine.connections``).
    `allowance`: packets that may be sent before anything has come from the peer, or ConfirmLeg; -1: any number.
    `srtp`: None for plain RTP; else nothing is taken and nothing sent that is not protected so. The same keys again change nothing.
    `rtp_timeout_ms`: as SetRtpTimeout, which is said here at a call's beginning; -1 leaves what is set.
    """

    leg: int
    remote_ip: str
    remote_port: int
    codec: str
    clock_hz: int
    payload_type_send: int
    payload_type_receive: int
    ptime_ms: int = 20
    dtmf_send: int = -1
    dtmf_receive: int = -1
    send: bool = True
    receive: bool = True
    symmetric: bool = True
    fmtp: str = ""
    channels: int = 1
    dtmf_send_clock_hz: int = 8000
    dtmf_receive_clock_hz: int = 8000
    also: tuple[ReceivedFormat, ...] = ()
    rtcp_ip: str = ""
    rtcp_port: int = 0
    signalling: tuple[str, ...] = ()
    allowance: int = -1
    srtp: Srtp | None = None
    rtp_timeout_ms: int = -1


@record(frozen=True, slots=True)
class ConfirmLeg:
    """The peer has shown that it gets our signalling (ACK, PRACK, 2xx): the leg sends without having heard from it.

    `signalling`: further addresses as in ConnectLeg. `early`: it has had our media address for longer, for there was early media.
    """

    leg: int
    signalling: tuple[str, ...] = ()
    early: bool = False


@record(frozen=True, slots=True)
class CloseLeg:
    """End a leg: it leaves its room, its recordings are finished, its port rests before reuse."""

    leg: int


@record(frozen=True, slots=True)
class Enqueue:
    """Append items to a leg's playlist, or with `front` put them before the current one, which then resumes where it was."""

    leg: int
    items: tuple[PlayItem, ...]
    front: bool = False


@record(frozen=True, slots=True)
class FlushPlaylist:
    """Drop every item without a PlaylistEmptied event (spec core.md §9.2)."""

    leg: int


@record(frozen=True, slots=True)
class SetLegAudio:
    """Change what passes between a leg and its playlist; None leaves a setting as it is.

    `muted`: not heard by others (webconference mute) · `deaf`: hears silence · `send_muted`: no RTP is sent (DSM mute()) ·
    `receive_off`: received audio is ignored · `attached_input` / `attached_output`: playlist connected as input/output
    (connectMedia); a detached leg sends nothing · `gain_db`: how loud others hear it.
    """

    leg: int
    muted: bool | None = None
    deaf: bool | None = None
    send_muted: bool | None = None
    receive_off: bool | None = None
    attached_input: bool | None = None
    attached_output: bool | None = None
    gain_db: float | None = None


@record(frozen=True, slots=True)
class SetPlayout:
    """Choose the playout buffer, one of PLAYOUT_KINDS (spec core.md §9.3)."""

    leg: int
    kind: str


@record(frozen=True, slots=True)
class SetDigitDetection:
    """Switch in-band detection and the reporting of RFC 4733 digits; None leaves a setting."""

    leg: int
    inband: bool | None = None
    telephone_event: bool | None = None


@record(frozen=True, slots=True)
class SendDigit:
    """Queue one RFC 4733 digit, `event` 0–15 (16 flash), for sending (spec core.md §9.4)."""

    leg: int
    event: int
    duration_ms: int = 500


@record(frozen=True, slots=True)
class SetRtpTimeout:
    """Report RtpTimedOut after so long without a packet while receiving; 0 switches it off."""

    leg: int
    timeout_ms: int


@record(frozen=True, slots=True)
class Announce:
    """Play sounds once to everybody in a room, mixed over the talk. A file that cannot be is left out: AnnounceFailed."""

    room: str
    items: tuple[Sound, ...]


@record(frozen=True, slots=True)
class SpanRoom:
    """A room has members in these other media processes too, or no longer (none): exchange sums of what is said in it with them.

    `number` names the room in the exchanged sums and is never used for another. What comes of it is no event: the members hear each
    other, one tick later than those of one process.
    """

    room: str
    number: int
    peers: tuple[int, ...] = ()


@record(frozen=True, slots=True)
class LoadPrompt:
    """Read an audio file now, so that its first call does not wait; answered by PromptLoaded with the same `request`."""

    request: int
    path: str


@record(frozen=True, slots=True)
class QueryStatistics:
    """Ask for counters; answered by Statistics with the same `request`. `leg` 0 asks for the process's."""

    request: int
    leg: int = 0


@record(frozen=True, slots=True)
class Shutdown:
    """Close everything and exit."""


@record(frozen=True, slots=True)
class TeeRoom:
    """Let what a leg says be heard in one more room, or no longer (`on` False). The leg stays where it is and hears nothing of it.

    Follows `attached_input`; `muted` concerns the leg's own room only. In the room that it is in itself a leg is heard once.
    """

    leg: int
    room: str
    on: bool = True


@record(frozen=True, slots=True)
class SetupMixIn:
    """Put a mixer over what a leg is sent (spec core.md §9.5); one that is there gives way, with what it played.

    `level`: share of the mixed-in audio, 0 to 1; below 0.01 the leg hears nothing else while it plays · `interval_ms`: it plays at
    every so many ms, first after as many; 0: at once, and once.
    """

    leg: int
    level: float
    interval_ms: int = 0


@record(frozen=True, slots=True)
class MixIn:
    """Give a leg's mixer something to play.

    `replace`: only these from now on, the whole again at every interval; otherwise they are appended and play once.
    Without SetupMixIn there is no effect.
    """

    leg: int
    items: tuple[Sound, ...]
    replace: bool = False


@record(frozen=True, slots=True)
class FlushMixIn:
    """Drop what MixIn appended."""

    leg: int


# ------------------------------------------------------------------------------------------------------------------ events
@record(frozen=True, slots=True)
class LegOpened:
    """The leg's RTP address, to stand in our SDP. `address`: its number (OpenLeg)."""

    leg: int
    ip: str
    port: int
    address: int = 0


@record(frozen=True, slots=True)
class LegFailed:
    """OpenLeg or ConnectLeg could not be done; the reason says why and what to change.

    `other_family`: the peer asks for IPv6 where we have IPv4 only, or the reverse.
    """

    leg: int
    reason: str
    other_family: bool = False


@record(frozen=True, slots=True)
class LegDropped:
    """The engine gave a leg up (an internal fault); the tick went on without it."""

    leg: int
    reason: str


@record(frozen=True, slots=True)
class PlaylistEmptied:
    """The playlist ran empty by playing (SEMS: noAudio)."""

    leg: int


@record(frozen=True, slots=True)
class SeparatorReached:
    """A separator item became current and is gone."""

    leg: int
    number: int


@record(frozen=True, slots=True)
class ItemFailed:
    """A playlist item could not be played or recorded and was skipped."""

    leg: int
    path: str
    reason: str


@record(frozen=True, slots=True)
class AnnounceFailed:
    """A file that a room should have been played (Announce) was left out."""

    room: str
    path: str
    reason: str


@record(frozen=True, slots=True)
class DigitPressed:
    """One key press. `event` 0–9, 10 `*`, 11 `#`, 12–15 A–D; `source` is rtp or inband."""

    leg: int
    event: int
    duration_ms: int
    source: str


@record(frozen=True, slots=True)
class MediaHeld:
    """A leg has sent what it may (ConnectLeg.allowance), and for a second nothing has come that lets it go on. Once a leg."""

    leg: int


@record(frozen=True, slots=True)
class RtpTimedOut:
    """Nothing arrived for longer than SetRtpTimeout allows; reported once until packets come again."""

    leg: int
    silent_ms: int


@record(frozen=True, slots=True)
class SpeakerChanged:
    """A participant started or stopped being heard (with hysteresis). `level_db`: dBov, ≤ 0."""

    room: str
    leg: int
    speaking: bool
    level_db: float


@record(frozen=True, slots=True)
class PromptLoaded:
    """Outcome of LoadPrompt; `error` is empty when the file can be played."""

    request: int
    path: str
    length_ms: int
    error: str


@record(frozen=True, slots=True)
class Statistics:
    """Counters by name, e.g. packets_received, packets_sent, packets_dropped_malformed, packets_dropped_stranger, ticks_late, legs."""

    request: int
    leg: int
    counters: dict[str, float] = field(default_factory=dict)


@record(frozen=True, slots=True)
class CodecsAvailable:
    """What this process can code and decode, most wanted first: its second record, right after Hello."""

    formats: tuple[AudioFormat, ...]


LegCommand: TypeAlias = (
    OpenLeg | ConnectLeg | ConfirmLeg | CloseLeg | Enqueue | FlushPlaylist | SetLegAudio | SetPlayout | SetDigitDetection | SendDigit
    | SetRtpTimeout | LegRecording | TeeRoom | SetupMixIn | MixIn | FlushMixIn
)  # fmt: skip
"""What is for one leg, named by its `leg`."""
RoomCommand: TypeAlias = Announce | RoomRecording | SpanRoom
"""What is for a room, named by its `room`."""
Command: TypeAlias = LegCommand | RoomCommand | LoadPrompt | QueryStatistics | Shutdown

LegEvent: TypeAlias = (
    LegOpened | LegFailed | LegDropped | PlaylistEmptied | SeparatorReached | ItemFailed | DigitPressed | RtpTimedOut | RecordingStopped
    | SpeakerChanged | MediaHeld
)  # fmt: skip
"""What one leg has to tell, named by its `leg`."""
Event: TypeAlias = (
    LegEvent | AnnounceFailed | RoomRecordingStopped | CallRecordingStopped | PromptLoaded | Statistics | CodecsAvailable
)  # fmt: skip

PLAYOUT_KINDS = ("adaptive", "adaptive_jb", "simple")

LEG_COMMANDS = get_args(LegCommand)
ROOM_COMMANDS = get_args(RoomCommand)
LEG_EVENTS = get_args(LegEvent)
COMMANDS: tuple[type[Command], ...] = get_args(Command)
EVENTS: tuple[type[Event], ...] = get_args(Event)

_LEG_COMMANDS = frozenset(LEG_COMMANDS)


def is_for_leg(record: object) -> TypeGuard[LegCommand]:
    """Whether it is one of LEG_COMMANDS. By one look into a set: each class that is compared with comes from cold memory where calls are few."""
    return type(record) in _LEG_COMMANDS


_LEG_EVENTS = frozenset(LEG_EVENTS)


def is_of_leg(record: object) -> TypeGuard[LegEvent]:
    """Whether it is one of LEG_EVENTS, likewise."""
    return type(record) in _LEG_EVENTS
