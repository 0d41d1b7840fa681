# SPDX-License-Identifier: GPL-2.0-or-later
"""The playout buffer under loss, reordering, duplicates, jitter and unequal clocks; concealment."""

from __future__ import annotations

import random

import numpy as np
import pytest

from media.codecs import find
from media.control.play_items import PlayEcho, PlayRoom
from media.control.records import ConnectLeg, Enqueue, ReceivedFormat, RtpTimedOut, SetPlayout, SetRtpTimeout
from tests.support import tones
from tests.support.engine_rig import EngineRig, rtp, samples_of
from tests.support.sizes import size

PEER = ("10.0.0.1", 4000)
PCMU = find("PCMU", 8000)
assert PCMU is not None
TONE = PCMU.encode(tones.tone(500, 20_000)).reshape(-1, 160)


def echo_rig() -> EngineRig:
    rig = EngineRig()
    rig.connect(1, PEER)
    rig.do(Enqueue(1, (PlayEcho(),)))
    return rig


def packet(step: int) -> bytes:
    return rtp(65000 + step, 2**32 - 5000 + 160 * step, TONE[step % len(TONE)].tobytes())


def play(rig: EngineRig, schedule: dict[int, list[int]], ticks: int) -> np.ndarray:
    """Let packets arrive before the ticks that the schedule names; return what the leg is sent."""
    heard = []
    for tick in range(ticks):
        rig.arrive(rig.ports[1], PEER, *(packet(step) for step in schedule.get(tick, [])))
        heard.append(samples_of(rig.tick()[1]))
    return np.concatenate(heard)


def row(rig: EngineRig) -> np.void:
    return rig.engine.legs.rows[rig.engine.by_number[1].row]


def test_in_order_stream_has_no_gap() -> None:
    heard = play(echo_rig(), {t: [t] for t in range(50)}, 50)
    assert tones.silent_ms(heard) == []


@pytest.mark.parametrize(
    ("name", "schedule"),
    [
        ("pairs", {t: [t, t + 1] if t % 2 == 0 else [] for t in range(50)}),
        ("swapped within a tick", {t: [t + 1, t] if t % 2 == 0 else [] for t in range(50)}),
        ("every packet twice", {t: [t, t] for t in range(50)}),
        ("a late duplicate", {t: [t, max(t - 3, 0)] for t in range(50)}),
    ],
)
def test_harmless_arrivals_leave_no_gap(name: str, schedule: dict[int, list[int]]) -> None:
    rig = echo_rig()
    heard = play(rig, schedule, 50)
    assert tones.silent_ms(heard[1600:]) == [], name
    assert tones.level(heard[1600:], 500) > 7500


def test_swapped_across_ticks_is_played_in_order_once_the_buffer_has_learnt() -> None:
    schedule = {t: ([t + 1] if t % 2 == 0 else [t - 1]) for t in range(300)}
    heard = play(echo_rig(), schedule, 300)
    assert min(tones.level(frame, 500) for frame in heard[-16000:].reshape(-1, 160)) > 7000
    assert tones.silent_ms(heard[-16000:]) == []


@pytest.mark.parametrize(("lost", "gap_ms"), [(1, 0), (2, 0), (3, 15), (10, 160)])
def test_lost_packets_are_concealed_for_sixty_ms(lost: int, gap_ms: int) -> None:
    rig = echo_rig()
    heard = play(rig, {t: [t] for t in range(60) if not 20 <= t < 20 + lost}, 60)
    assert max(tones.silent_ms(heard), default=0) <= gap_ms + 5
    assert row(rig)["frames_concealed"] == min(lost, 3)


def test_concealed_frame_goes_on_with_the_tone() -> None:
    rig = echo_rig()
    heard = play(rig, {t: [t] for t in range(60) if t != 30}, 60)
    assert tones.level(heard[31 * 160 : 32 * 160], 500) > 6000


def test_jitter_is_absorbed_within_the_bound() -> None:
    chance, rig = random.Random(3), echo_rig()
    schedule: dict[int, list[int]] = {}
    for step in range(900):
        schedule.setdefault(step + chance.choice((0, 0, 0, 1, 2, 3)), []).append(step)
    heard = play(rig, schedule, 900)
    assert tones.level(heard[-40000:], 500) > 7000
    assert row(rig)["max_delay_samples"] == 1440


def test_burst_after_a_stall_never_exceeds_the_bound() -> None:
    rig = echo_rig()
    schedule = {t: [t] for t in range(200)}
    schedule |= {t: [] for t in range(50, 75)} | {75: list(range(50, 76))}
    play(rig, schedule, 200)
    newest = (2**32 - 5000 + 160 * 200) & 0xFFFFFFFF
    assert 0 <= (newest - int(row(rig)["play_ts"])) & 0xFFFFFFFF <= 1440 + 320


@pytest.mark.parametrize("ppm", [100, -100, 500, -500])
def test_an_hour_with_unequal_clocks_stays_within_the_buffer(ppm: int) -> None:
    """Simulated time; the sender's clock is fast or slow. Beside others a part of the hour stands for it, in which it drifts further than
    what the buffer may hold (640 samples).
    """
    rig = echo_rig()
    ticks = size(80_000 if ppm == 100 else 45_000, 180_000)
    sent, bound_low, bound_high = 0, 10**9, -(10**9)
    port = rig.ports[1]
    for tick in range(ticks):
        while sent * 1_000_000 <= tick * (1_000_000 + ppm):
            rig.arrive(port, PEER, packet(sent))
            sent += 1
        rig.tick()
        if tick > 1000 and tick % 50 == 0:
            newest = (2**32 - 5000 + 160 * sent) & 0xFFFFFFFF
            held = ((newest - int(row(rig)["play_ts"]) + 2**31) & 0xFFFFFFFF) - 2**31
            bound_low, bound_high = min(bound_low, held), max(bound_high, held)
    assert bound_low >= -160 and bound_high <= 640
    assert row(rig)["resyncs"] == 0
    assert row(rig)["frames_concealed"] <= ticks // 5000


def test_simple_playout_does_not_adapt() -> None:
    rig = echo_rig()
    rig.do(SetPlayout(1, "simple"))
    play(rig, {t: [t] for t in range(20)}, 20)
    delay = row(rig)["delay_samples"]
    play(rig, {t: [t - 6] for t in range(30, 60)}, 60)
    assert row(rig)["delay_samples"] == delay == 480


def test_change_of_ssrc_and_jump_of_timestamp_start_a_new_stream() -> None:
    rig = echo_rig()
    play(rig, {t: [t] for t in range(20)}, 20)
    for step in range(10):
        rig.arrive(rig.ports[1], PEER, rtp(step, 5_000_000 + 160 * step, TONE[step].tobytes(), ssrc=99))
        heard = samples_of(rig.tick()[1])
    assert tones.level(heard, 500) > 7000


def test_comfort_noise_is_a_pause_and_no_loss() -> None:
    """The sender says that it pauses (RFC 3389): silence at once, nothing is repeated, the pause counts as heard from."""
    rig = echo_rig()
    rig.do(SetRtpTimeout(1, 300))
    heard = []
    for tick in range(60):
        if tick < 20 or tick >= 50:
            rig.arrive(rig.ports[1], PEER, packet(tick))
        elif tick % 5 == 0:
            rig.arrive(rig.ports[1], PEER, rtp(65000 + 20 + (tick - 20) // 5, 2**32 - 5000 + 160 * tick, b"\x40", 13))
        heard.append(samples_of(rig.tick()[1]))
        rig.engine.check_timeouts(rig.now_ns)
    rig.events += rig.engine.take_events()
    sound = np.concatenate(heard)
    assert not np.any(sound[21 * 160 : 51 * 160]), "a loss would be concealed by the last of the voice"
    assert tones.level(sound[5 * 160 : 21 * 160], 500) > 7500 and tones.level(sound[52 * 160 :], 500) > 7500
    assert not [e for e in rig.events if isinstance(e, RtpTimedOut)]
    assert row(rig)["packets_received"] == 36


def test_comfort_noise_from_a_stranger_is_nobodys() -> None:
    rig = echo_rig()
    rig.arrive(rig.ports[1], PEER, packet(0))
    rig.tick()
    rig.arrive(rig.ports[1], ("10.0.0.9", 4000), rtp(1, 160, b"\x40", 13))
    assert rig.counter("packets_dropped_stranger") == 1 and row(rig)["packets_received"] == 1


@pytest.mark.parametrize(("codec", "kind"), [("PCMU", 0), ("PCMA", 8), ("G722", 9), ("GSM", 3), ("G726-32", 96)])
@pytest.mark.parametrize("length_ms", [100, 120, 140, 160, 200])
def test_long_packets_are_heard(codec: str, kind: int, length_ms: int) -> None:
    """Gateways of satellite lines send up to 200 ms in a packet."""
    found = find(codec, 8000)
    assert found is not None
    sound = tones.tone(500, 4000, found.rate_hz)
    payload = found.coder("").encode if found.coder is not None else found.encode
    count = length_ms * found.rate_hz // 1000
    rig = EngineRig()
    rig.connect(1, PEER, codec, 8000, kind)
    rig.connect(2, ("10.0.0.2", 4000))
    rig.do(*(Enqueue(leg, (PlayRoom("r"),)) for leg in (1, 2)))
    heard, number = [], 0
    for tick in range(150):
        if tick * 20 % length_ms == 0:
            data = bytes(payload(np.ascontiguousarray(sound[number * count : (number + 1) * count])))
            rig.arrive(rig.ports[1], PEER, rtp(number, number * length_ms * 8, data, kind))
            number += 1
        heard.append(samples_of(rig.tick()[2]))
    speech = np.concatenate(heard)[8 * 600 :]
    assert min(tones.level(speech[i : i + 800], 500) for i in range(0, len(speech) - 800, 800)) > 6000
    assert rig.counter("packets_dropped_too_long") == 0


@pytest.mark.parametrize(("codec", "kind", "size"), [("PCMU", 0, 1920), ("G722", 9, 1920), ("L16", 96, 2000), ("GSM", 3, 2050)])
def test_longer_packets_are_counted(codec: str, kind: int, size: int) -> None:
    rig = echo_rig()
    rig.connect(2, ("10.0.0.2", 4000), codec, 8000, kind)
    rig.do(Enqueue(2, (PlayEcho(),)))
    rig.arrive(rig.ports[2], ("10.0.0.2", 4000), rtp(1, 0, bytes(size), kind))
    rig.tick()
    assert rig.counter("packets_dropped_too_long") == (0 if codec == "L16" else 1)


def timed_out(rig: EngineRig, ticks: int) -> list[object]:
    """What is said of silence in so many ticks."""
    before = len(rig.events)
    for _ in range(ticks):
        rig.tick()
        rig.engine.check_timeouts(rig.now_ns)
    rig.events += rig.engine.take_events()
    return [event for event in rig.events[before:] if isinstance(event, RtpTimedOut)]


@pytest.mark.parametrize(("send", "receive"), [(False, True), (False, False), (True, False)])
def test_nothing_is_awaited_of_a_peer_that_holds_the_call(send: bool, receive: bool) -> None:
    rig = echo_rig()
    rig.do(SetRtpTimeout(1, 300))
    rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, send=send, receive=receive))
    assert timed_out(rig, 100) == []
    rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0))
    assert timed_out(rig, 14) == [], "resumed: the time begins again"
    assert len(timed_out(rig, 3)) == 1


def test_how_long_silence_may_last_is_said_with_the_connection() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, rtp_timeout_ms=300)
    assert timed_out(rig, 14) == []
    rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0))  # a re-INVITE that says nothing of it: the time goes on
    assert len(timed_out(rig, 3)) == 1
    assert timed_out(rig, 30) == []
    rig.do(ConnectLeg(1, *PEER, "PCMU", 8000, 0, 0, rtp_timeout_ms=0))
    assert timed_out(rig, 30) == []


def test_a_peer_that_changes_its_codec_does_not_begin_the_time_again() -> None:
    rig = EngineRig()
    rig.connect(1, PEER, rtp_timeout_ms=300, also=(ReceivedFormat(8, 8, "PCMA", 8000),))
    rig.do(SetRtpTimeout(1, 0))
    rig.arrive(rig.ports[1], PEER, rtp(1, 0, bytes(160), 8))
    rig.tick()
    connection = rig.engine.by_number[1].connection
    assert connection is not None and connection.codec == "PCMA"
    assert timed_out(rig, 30) == [], "what was switched off later stays so"
