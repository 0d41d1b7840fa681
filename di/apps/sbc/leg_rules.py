# SPDX-License-Identifier: GPL-2.0-or-later
"""A leg is made as a profile wants it, before it says anything; and what of its keys goes to the other one."""

from __future__ import annotations

from di.apps.api import PlayTone, Session
from di.apps.sbc import filters
from di.apps.sbc.codec_choice import keys_pass_as_events, later_of_a
from di.apps.sbc.filters import Lines, Side
from di.apps.sbc.keys import is_yes
from di.apps.sbc.profile import Profile

_ROWS_HZ, _COLUMNS_HZ = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_PAD = (13, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 14, 3, 7, 11, 15)
"""Place on the pad, row by row, of each event 0–15 (RFC 4733 §3.2): 0–9, `*`, `#`, A–D."""
_TONE_LEVEL = 0.99


def begin_leg(session: Session, profile: Profile, side: Side) -> None:
    """Requests inside it, holds that it hears of, credentials."""
    dialog = session.dialog
    dialog.in_requests = filters.request_headers(profile, side)
    dialog.hold_style = filters.hold_style_for(profile, side)
    session.audio.detect_digits(inband=False)  # until both codecs are known
    if side == "a":
        dialog.later = later_of_a(profile, session.info.codecs)
    credential = filters.credential_for(profile, side)
    if credential is not None and side == "a":
        dialog.log_in(credential)


def show(session: Session, profile: Profile, side: Side, lines: Lines, local: tuple[str, int]) -> None:
    """How a leg looks from now on. `lines`: of the other side's description."""
    appearance = filters.appearance_for(profile, side, lines, local)
    if session.info.incoming:
        session.dialog.present(appearance)
    else:
        session.dialog.plan.appearance = appearance


def look_for_keys(session: Session, other: Session | None, profile: Profile) -> None:
    """dtmf_transcoding: search the audio of a leg without telephone events for keys, where the other one takes them as such."""
    one, two = session.audio.negotiated, other.audio.negotiated if other is not None else None
    if one is None or two is None or other is None:
        return
    wanted = one.dtmf_receive < 0 <= two.dtmf_send and keys_pass_as_events(profile, *other.audio.codec_in_use)
    session.audio.detect_digits(inband=wanted)


def pass_key(session: Session, other: Session | None, profile: Profile, event: int, duration_ms: int) -> None:
    """A key that was not pressed by INFO, which the pair passes on, goes to the other leg: as an event, else as a tone."""
    media = other.audio.negotiated if other is not None else None
    if other is None or media is None or session.digits.source == "info" or is_yes(profile.rtprelay_dtmf_filtering):
        return
    if media.dtmf_send >= 0:
        other.audio.send_digit(event, duration_ms)
    elif session.digits.source == "rtp" and 0 <= event < len(_PAD):
        other.audio.set_up_mix_in(_TONE_LEVEL, 0)
        other.audio.mix_in(key_tone(event, duration_ms))


def key_tone(event: int, duration_ms: int) -> PlayTone:
    """The two frequencies of a key (ITU-T Q.23), at least as long as receivers need (Q.24)."""
    row, column = divmod(_PAD[event], 4)
    length_ms = max(duration_ms, 80)
    return PlayTone((_ROWS_HZ[row], _COLUMNS_HZ[column]), on_ms=length_ms, length_ms=length_ms)
