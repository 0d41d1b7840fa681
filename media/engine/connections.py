# SPDX-License-Identifier: GPL-2.0-or-later
"""Legs' addresses: ports on our side, signalled and latched addresses on theirs, and what ConnectLeg says about the wire.

Whose packets are a leg's, and how that changes (`S` the signalled address, `X` another one; `slot` its port's latch slot, ``ports.py``):

    state      slot  packets of         a packet from S   from X                           else
    ─────────  ────  ─────────────────  ────────────────  ───────────────────────────────  ─────────────────────────────
    unlocked   held  S                  → locked          X may be the peer and sends in   window over, or not symmetric:
                                                          sequence: → latched              → waiting
    waiting    free  S                  → locked          stranger
    locked     free  S                                    stranger
    latched    free  X                  → locked          is taken                         (X rests when S has come back)
    ConnectLeg with another S: from any state → unlocked when it gets the slot, else → waiting

Which X may be the peer, which of several it is, and when the leg then sends to X (else always to S): ``latching.py``. A leg whose peer cannot be
at S keeps the slot until it is locked, and sends to who shows that he is there (`seen`) before.

The address that a leg leaves rests: its packets are nobody's for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from media import codecs
from media.codecs.codec import TICK_MS, Codec, packet_ms
from media.control.records import ConfirmLeg, ConnectLeg, Event, LegFailed, LegOpened, OpenLeg, ReceivedFormat
from media.engine import latching
from media.engine.addresses import EMPTY, FAMILY_IPV6, NAME_BYTES, RESTING, AddressTable, parsed, sockaddr
from media.engine.leg import Leg
from media.engine.leg_table import LEG, LegTable, Sockaddr
from media.engine.options import EngineOptions
from media.engine.ports import NoPort, PortBook, PortTimes, Remote
from media.engine.receive import NO_DIGITS
from media.rtp.srtp_numbers import TAG_BYTES

SIGNALLED_ONLY = 1
"""Mark (in the entry's time field) of a signalled address whose leg has latched elsewhere."""

PLAYOUT_DELAY_MS = {"adaptive": 180, "adaptive_jb": 1000, "simple": 400}
"""Hard bound of each kind of playout buffer (spec core.md §9.3). The ring is twice as long."""

IPV4_NAME_BYTES = 16
LAST_PORT = 65535
FIXED_DELAY_MS = 60
LONGEST_ENCODED = 160
DRAWN_BITS = 80
"""SSRC, timestamp and sequence number that a leg begins with (RFC 3550 §5.1)."""
DRAWN_AT_ONCE = 64


def _opened_row() -> NDArray[np.void]:
    """What a leg's row begins with: LEG ()."""
    row = np.zeros((), LEG)
    row["payload_type_digits"], row["allowance"], row["gain_q12"] = NO_DIGITS, -1, 4096
    row["used"], row["report_digits"], row["marker"], row["hears"] = 1, 1, 1, 1
    row["round_trip_us"], row["peer_lost_q8"] = -1, -1
    return row


_OPENED = _opened_row()


@lru_cache(4096)
def remote_of(name: bytes) -> Remote:
    """Return (ip, port) of a struct sockaddr."""
    port = (name[2] << 8) | name[3]
    packed = name[8:24] if name[0] == FAMILY_IPV6 else name[4:8]
    return str(parsed(packed)), port


class Connections:
    """Opens, connects, latches and closes legs. `waiting`: int32 (sockets,), the row holding each socket's latch slot or -1."""

    def __init__(
        self,
        options: EngineOptions,
        bind: Callable[[int, int], int | None],
        unbind: Callable[[int], None],
        random: Random,
        legs: LegTable,
        emit: Callable[[Event], None],
    ) -> None:
        self.addresses = AddressTable()
        self.waiting: NDArray[np.int32] = np.full(64, -1, np.int32)
        self.packets_sent_closed = 0
        self._rest_ns, self._window_ns = options.rest_ns, options.latch_window_ns
        self._moving: dict[int, Leg] = {}
        """Legs that have latched to another port of the signalled host, which may be sent to when it has lasted."""
        self._random = random
        self._drawn: list[int] = []
        self._legs = legs
        self._emit = emit
        times = PortTimes(options.rest_ns, options.latch_window_ns, options.idle_ns)
        self._families = tuple(address.ipv6 for address in options.addresses)
        self._books = tuple(
            PortBook(
                address.ip,
                (address.port_low, address.port_high),
                (partial(bind, number), unbind),
                times,
                options.legs_per_port,
                options.kept_ports,
            )
            for number, address in enumerate(options.addresses)
        )

    @property
    def ports(self) -> int:
        """RTP ports bound."""
        return sum(len(book) for book in self._books)

    @property
    def ports_used(self) -> int:
        """Those of them that have a leg."""
        return sum(book.used for book in self._books)

    def open(self, command: OpenLeg, now_ns: int) -> Leg | None:
        """Give a new leg a row and a port; None after LegFailed."""
        address = self._address(command)
        if address is None:
            family = "IPv6" if command.ipv6 else "IPv4"
            reason = f"the peer is at {family}, where we have no media address: name one as further_media_ip"
            self._emit(LegFailed(command.leg, reason, other_family=True))
            return None
        book = self._books[address]
        try:
            remote = _remote(command.remote_ip, command.remote_port)
            row = self._legs.take(_OPENED)
            port = book.assign(row, remote, now_ns)
        except ValueError as error:
            self._emit(LegFailed(command.leg, f"remote address: {error}"))
            return None
        except NoPort as error:
            self._legs.release(row)
            self._emit(LegFailed(command.leg, str(error)))
            return None
        if port.socket >= len(self.waiting):
            grown = np.full(2 * port.socket, -1, np.int32)
            grown[: len(self.waiting)] = self.waiting
            self.waiting = grown
        state = self._legs.row(row)
        state.socket = port.socket
        drawn = self._draw()
        state.ssrc_out, state.ts_out, state.sequence_out = drawn >> 48, drawn >> 16 & 0xFFFFFFFF, drawn & 0xFFFF
        self._emit(LegOpened(command.leg, book.ip, port.number, address))
        return Leg(command.leg, row, port, address, signalled=remote)

    def _draw(self) -> int:
        """A leg's random numbers, those of many legs at once: each draw is a system call."""
        if not self._drawn:
            bits = self._random.getrandbits(DRAWN_BITS * DRAWN_AT_ONCE)
            self._drawn = [bits >> DRAWN_BITS * turn & ((1 << DRAWN_BITS) - 1) for turn in range(DRAWN_AT_ONCE)]
        return self._drawn.pop()

    def _address(self, command: OpenLeg) -> int | None:
        """Number of the address that a leg gets: the wanted one if it is of the peer's family, else the first that is."""
        families = self._families
        if 0 <= command.address < len(families) and families[command.address] is command.ipv6:
            return command.address
        return families.index(command.ipv6) if command.ipv6 in families else None

    def connect(self, leg: Leg, command: ConnectLeg, now_ns: int) -> bool:
        """Take over the outcome of offer/answer; False after LegFailed, the leg then stays as it was."""
        codec = codecs.find(command.codec, command.clock_hz, command.fmtp)
        if codec is None or command.channels not in (1, codec.channels):
            asked = f"{command.codec}/{command.clock_hz}/{command.channels}"
            self._emit(LegFailed(leg.number, f"codec {asked} is not known here; known: {codecs.names()}"))
            return False
        try:
            name, _ = sockaddr(command.remote_ip, command.remote_port)
            rtcp_name = sockaddr(command.rtcp_ip, command.rtcp_port)[0] if command.rtcp_port else b""
        except ValueError as error:
            self._emit(LegFailed(leg.number, f"remote address: {error}"))
            return False
        silent = command.remote_port == 0 or parsed(command.remote_ip).is_unspecified
        leg.rtcp_name = rtcp_name
        if not silent and not self._set_signalled(leg, name, command, now_ns):
            return False
        self._expect_reports(leg, now_ns)
        state = self._legs.row(leg.row)
        if not state.connected:
            state.arrived_ns = now_ns
        frame_samples = codec.rate_hz * TICK_MS // 1000
        if leg.codec is not codec:
            state.primed, state.started = 0, 0
        if leg.codec is not codec or leg.connection is None or leg.connection.fmtp != command.fmtp:
            leg.coder = codec.coder(command.fmtp) if codec.coder else None
            leg.coded_sequence = -1
        leg.connection, leg.codec = command, codec
        send_ms = packet_ms(codec, command.ptime_ms if command.ptime_ms > 0 else TICK_MS)
        send_bytes = codec.rate_hz * send_ms // 1000 * codec.sample_bytes
        tag_bytes = TAG_BYTES if command.srtp is not None else 0
        self._legs.fit(frame_samples, max(frame_samples * codec.sample_bytes, send_bytes, LONGEST_ENCODED) + tag_bytes)
        state.connected, state.coding, state.clock_hz = 1, codec.coding, codec.clock_hz
        state.frame_samples, state.frame_bytes = frame_samples, frame_samples * codec.sample_bytes
        state.sample_bytes, state.coding_delay = codec.sample_bytes, codec.delay_samples
        state.frame_ticks = codec.clock_hz * TICK_MS // 1000
        state.usual_bytes, state.usual_ticks = send_bytes, codec.clock_hz * send_ms // 1000
        state.send_bytes, state.send_ticks = state.usual_bytes, state.usual_ticks
        state.samples_per_tick = max(codec.rate_hz // codec.clock_hz, 1)
        state.silence_byte = _silence_byte(codec)
        self.apply_playout(leg)
        state.payload_type_send = command.payload_type_send & 127
        state.payload_type_receive = command.payload_type_receive & 127
        state.payload_type_digits = command.dtmf_receive if 0 <= command.dtmf_receive < 128 else NO_DIGITS
        state.also_low, state.also_high = _bits(command.also)
        leg.presses.clock_hz, leg.press_sender.clock_hz = command.dtmf_receive_clock_hz, command.dtmf_send_clock_hz
        if silent:
            state.name_bytes = state.rtcp_bytes = 0
        self.apply_direction(leg)
        return True

    def apply_direction(self, leg: Leg) -> None:
        """Set what a leg's row derives from its direction and its audio settings together."""
        state, audio, connection = self._legs.row(leg.row), leg.audio, leg.connection
        if connection is None:
            return
        state.running = audio.attached_output
        state.sending = connection.send and not audio.send_muted
        state.receiving = connection.receive and not audio.receive_off

    def apply_playout(self, leg: Leg) -> None:
        """Set bound and start of a leg's playout buffer."""
        state, codec = self._legs.row(leg.row), leg.codec
        if codec is None:
            return
        state.max_delay_samples = codec.rate_hz * PLAYOUT_DELAY_MS[leg.playout] // 1000
        state.fixed = leg.playout == "simple"
        if state.fixed:
            state.delay_samples = codec.rate_hz * FIXED_DELAY_MS // 1000
        elif not state.delay_samples:
            state.delay_samples = codec.rate_hz * TICK_MS // 1000

    def locked(self, leg: Leg) -> None:
        """The first packet came from the signalled address."""
        self._free_slot(leg)

    def consider(self, leg: Leg, note: Any, now_ns: int) -> None:
        """Judge a packet from an unknown address on the port whose latch slot the leg holds."""
        state = self._legs.row(leg.row)
        socket = int(note["socket"])
        if state.locked or not leg.signalled_name or leg.port.holder != leg.row or leg.port.socket != socket:
            if self.waiting[socket] == leg.row:
                self.waiting[socket] = -1
            return
        name, ssrc, sequence = note["name"].tobytes(), int(note["ssrc"]), int(note["sequence"])
        reported = state.ssrc_reported
        if not latching.may_be(name, ssrc, leg.signalled_name, leg.signalling, reported):
            return
        latching.heard(leg.candidates, name, ssrc, sequence, now_ns)
        found = latching.winner(leg.candidates, leg.signalled_name, reported, bool(state.elsewhere), now_ns)
        if found is not None:
            leg.latched_from_ns, leg.latched_first = found.first_ns, (0, 0)
            leg.moved = bool(reported) and found.ssrc == reported
            self._latch(leg, found.name, now_ns)

    def seen(self, leg: Leg, note: Any) -> None:
        """Something that is no audio came from an unknown address: a silent peer behind NAT is sent to there, until it is known better."""
        state = self._legs.row(leg.row)
        name = note["name"].tobytes()
        name = latching.with_port(name, latching.port_of(name) - int(note["duration"]))
        if state.locked or not state.elsewhere or leg.candidates or not latching.port_of(name):
            return
        symmetric = leg.connection is not None and leg.connection.symmetric
        if symmetric and latching.host_of(name) in leg.signalling:
            state.allowance = -1
            self._send_to(leg, name)

    def confirm(self, leg: Leg, command: ConfirmLeg, now_ns: int) -> None:
        """The peer gets our signalling, so its media may be sent before it has sent any."""
        self._legs.row(leg.row).allowance = -1
        if not leg.known_ns:
            leg.known_ns, leg.known_early = now_ns, command.early
        leg.signalling |= latching.hosts_of(command.signalling)
        self._set_elsewhere(leg)

    @property
    def moving(self) -> list[Leg]:
        """Legs that have latched to another port of the signalled host, of which it is not known yet whether that is the peer's."""
        return [*self._moving.values()] if self._moving else []

    def move(self, leg: Leg, now_ns: int) -> None:
        """Send a leg's packets to another port of the signalled host where that is the peer, as far as can be known. To be called each tick."""
        due_ns = latching.moves_ns(leg.latched_from_ns, leg.known_ns, leg.known_early, self._window_ns)
        state = self._legs.row(leg.row)
        arrived_ns, transit = state.arrived_ns, state.transit
        if leg.latched_first == (0, 0):
            leg.latched_first = (arrived_ns, transit) if arrived_ns > leg.latched_from_ns else (0, 0)
        elif due_ns and now_ns >= due_ns and now_ns - arrived_ns <= latching.PAUSE_NS:
            slip = (transit - leg.latched_first[1] + 2**31) % 2**32 - 2**31
            slip_ns = slip * 1_000_000_000 // state.clock_hz
            in_time = latching.keeps_time(slip_ns, arrived_ns - leg.latched_first[0])
            if in_time:
                del self._moving[leg.number]
                self._move(leg)
            elif in_time is not None:
                leg.latched_from_ns, leg.latched_first = now_ns, (0, 0)

    def _move(self, leg: Leg) -> None:
        leg.moved = True
        if self._legs.row(leg.row).name_bytes:  # else it holds the call, and hears afterwards
            self._send_to(leg, leg.latched_name)

    def reported(self, leg: Leg, ssrc: int, now_ns: int) -> None:
        """The signalled host reports although the leg has latched to another address: whether that has the same SSRC says who is right."""
        if not leg.latched_name or latching.host_of(leg.latched_name) != latching.host_of(leg.signalled_name):
            return
        if ssrc != self._legs.row(leg.row).ssrc_in:
            self.returned(leg, now_ns)
        elif self._moving.pop(leg.number, None):
            self._move(leg)

    def _set_elsewhere(self, leg: Leg) -> None:
        elsewhere = latching.is_elsewhere(leg.signalled_name, leg.signalling)
        self._legs.row(leg.row).elsewhere = elsewhere
        if elsewhere and leg.port.holder == leg.row:
            leg.port.window_ends_ns = 0

    def returned(self, leg: Leg, now_ns: int) -> None:
        """The signalled address sends, although the leg has latched to another: the signalled one is right."""
        if not leg.latched_name:
            return
        socket = leg.port.socket
        self._moving.pop(leg.number, None)
        self.addresses.set(leg.latched_name, socket, RESTING, now_ns, now_ns + self._rest_ns)
        leg.latched_name, leg.moved = b"", False
        self.addresses.set(leg.signalled_name, socket, leg.row, now_ns)
        self._send_to(leg, leg.signalled_name)

    def end_windows(self, now_ns: int) -> None:
        """Take the latch slot from legs that have had it long enough."""
        for book in self._books:
            for port, row in book.sweep(now_ns):
                if self.waiting[port.socket] == row:
                    self.waiting[port.socket] = -1

    def close_idle_ports(self, now_ns: int) -> None:
        """Close ports that have had no leg for long. Their sockets' indexes come back for others, so their addresses are forgotten."""
        for book in self._books:
            closed = book.close_idle(now_ns)
            if closed:
                self.addresses.forget_sockets(closed)

    def close(self, leg: Leg, now_ns: int) -> None:
        """Take a leg off its port and its row; its addresses rest."""
        socket = leg.port.socket
        self._moving.pop(leg.number, None)
        self._forget_reports(leg)
        sources = tuple(remote_of(name) for name in (leg.signalled_name, leg.latched_name) if name)
        for name in (leg.signalled_name, leg.latched_name):
            if name and self.addresses.get(name, socket) == leg.row:
                self.addresses.set(name, socket, RESTING, now_ns, now_ns + self._rest_ns)
        if self.waiting[socket] == leg.row:
            self.waiting[socket] = -1
        self._books[leg.address].leave(leg.port, leg.row, leg.signalled, sources, now_ns)
        self.packets_sent_closed += self._legs.row(leg.row).packets_sent
        self._legs.release(leg.row)

    def _set_signalled(self, leg: Leg, name: bytes, command: ConnectLeg, now_ns: int) -> bool:
        remote = remote_of(name)
        port, state = leg.port, self._legs.row(leg.row)
        changed = name != leg.signalled_name
        leg.signalling |= latching.hosts_of(command.signalling)
        if not changed and (state.locked or port.holder == leg.row):
            self._set_elsewhere(leg)
            self._send_to(leg, leg.latched_name if command.symmetric and self._sends_to_latched(leg) else name)
            return True
        elsewhere = latching.is_elsewhere(name, leg.signalling)
        if not self._books[leg.address].connect(port, leg.row, leg.signalled, remote, now_ns, command.symmetric, elsewhere):
            reason = f"another leg on local port {port.number} has the remote address {remote[0]}:{remote[1]}"
            self._emit(LegFailed(leg.number, reason))
            return False
        for old in (leg.signalled_name, leg.latched_name):
            if old and changed:
                self.addresses.set(old, port.socket, RESTING, now_ns, now_ns + self._rest_ns)
        if changed:
            state.locked, state.ssrc_reported, state.allowance = 0, 0, command.allowance
            leg.latched_name, leg.moved = b"", False
            leg.candidates.clear()
            self._moving.pop(leg.number, None)
        if command.allowance < 0 and not leg.known_ns:  # our offer told the peer before
            leg.known_ns, leg.known_early = now_ns, True
        state.elsewhere = elsewhere
        leg.signalled, leg.signalled_name = remote, name
        self.addresses.set(name, port.socket, leg.row, now_ns)
        if port.holder == leg.row:
            self.waiting[port.socket] = leg.row
        elif self.waiting[port.socket] == leg.row:
            self.waiting[port.socket] = -1  # another holder is found once it is connected: until then no packet is of its peer
        self._send_to(leg, name)
        return True

    def _expect_reports(self, leg: Leg, now_ns: int) -> None:
        """A peer that takes reports at a port of its own sends them from there too: they are looked for one below (``receive_reports``)."""
        port = int.from_bytes(leg.rtcp_name[2:4], "big") - 1
        near = port > 0 and _host(leg.rtcp_name) == _host(leg.signalled_name)
        wanted = leg.rtcp_name[:2] + port.to_bytes(2, "big") + leg.rtcp_name[4:] if near else b""
        if wanted == leg.reports_name:
            return
        self._forget_reports(leg)
        if wanted and self.addresses.get(wanted, leg.port.socket) == EMPTY:  # never in the place of a leg's own address
            self.addresses.set(wanted, leg.port.socket, leg.row, now_ns)
            leg.reports_name = wanted

    def _forget_reports(self, leg: Leg) -> None:
        name, socket = leg.reports_name, leg.port.socket
        if name and name not in (leg.signalled_name, leg.latched_name) and self.addresses.get(name, socket) == leg.row:
            self.addresses.remove(name, socket)
        leg.reports_name = b""

    def _latch(self, leg: Leg, name: bytes, now_ns: int) -> None:
        self._legs.row(leg.row).locked = 1
        leg.latched_name = name
        leg.candidates.clear()
        self.addresses.set(name, leg.port.socket, leg.row, now_ns)
        self.addresses.set(leg.signalled_name, leg.port.socket, leg.row, now_ns, SIGNALLED_ONLY)
        symmetric = leg.connection is not None and leg.connection.symmetric
        if symmetric and self._sends_to_latched(leg):
            self._send_to(leg, name)
        else:
            self._send_to(leg, leg.signalled_name)
            if symmetric and latching.host_of(name) == latching.host_of(leg.signalled_name):
                self._moving[leg.number] = leg
        self._free_slot(leg)

    def _sends_to_latched(self, leg: Leg) -> bool:
        """Whether the leg sends to where it has latched: its peer cannot be at the signalled address."""
        if not leg.latched_name:
            return False
        if latching.host_of(leg.latched_name) == latching.host_of(leg.signalled_name):
            return leg.moved
        return bool(self._legs.row(leg.row).elsewhere)

    def _free_slot(self, leg: Leg) -> None:
        self._books[leg.address].settle(leg.port, leg.row)
        if self.waiting[leg.port.socket] == leg.row:
            self.waiting[leg.port.socket] = -1

    def _send_to(self, leg: Leg, name: bytes) -> None:
        state = self._legs.row(leg.row)
        state.name = Sockaddr.from_buffer_copy(name)
        state.name_bytes = NAME_BYTES if name[0] == FAMILY_IPV6 else IPV4_NAME_BYTES
        reports = _reports_to(name, leg.rtcp_name)
        state.rtcp_bytes = state.name_bytes if reports else 0
        if reports:
            state.rtcp_name = Sockaddr.from_buffer_copy(reports)


def _host(name: bytes) -> bytes:
    """Family and address of a struct sockaddr."""
    return name[:2] + (name[8:24] if name[0] == FAMILY_IPV6 else name[4:8])


def _reports_to(name: bytes, said: bytes) -> bytes:
    """Where reports go when audio goes to `name`: where the peer has said (RFC 3605), else one port above (RFC 3550 §11); empty: nowhere.

    A peer whose audio comes from another host than it says is behind NAT, and what it says of reports leads as little to it.
    """
    if said and _host(said) == _host(name):
        return said
    port = int.from_bytes(name[2:4], "big") + 1
    return name[:2] + port.to_bytes(2, "big") + name[4:] if port <= LAST_PORT else b""


@lru_cache(64)
def _silence_byte(codec: Codec) -> int:
    """The first byte of a silent sample."""
    return int(codec.encode(np.zeros(1, np.int16))[0])


@lru_cache(256)
def _bits(formats: tuple[ReceivedFormat, ...]) -> tuple[int, int]:
    """The payload types as two words of 64 bits."""
    types = sum({1 << known.payload_type for known in formats if 0 <= known.payload_type < 128})
    return types & (2**64 - 1), types >> 64


@lru_cache(4096)
def _remote(ip: str, port: int) -> Remote | None:
    """Return the address in its one spelling, None when it is not known yet. Raises ValueError when `ip` is no address."""
    if not ip or port == 0:
        return None
    return str(parsed(ip)), port
