# SPDX-License-Identifier: GPL-2.0-or-later
"""webconference.conf (spec applications.md §1.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from di.apps.api import Search, SessionTimerOptions, compile_extended, option
from di.apps.room_options import drop_sound, join_sound, playout_type


def parse_rooms(text: str) -> tuple[tuple[str, str], ...]:
    """Read `room:pwd;room:pwd`."""
    rooms: list[tuple[str, str]] = []
    for part in text.split(";"):
        if not part:
            continue
        room, separator, password = part.partition(":")
        if not separator or not room:
            raise ValueError(f'{part!r} is not "room:password"; several are separated by `;`')
        rooms.append((room, password))
    return tuple(rooms)


def parse_regex(text: str) -> Search | None:
    """Compile an expression; an empty one switches the feature off."""
    return compile_extended(text) if text else None


@dataclass(frozen=True)
class Options(SessionTimerOptions):
    """The conference's configuration."""

    first_participant: str = option("prompts/first_participant.wav", help="Played to the only one in a room.")
    join_sound: str = join_sound("prompts/beep.wav")
    drop_sound: str = drop_sound("prompts/beep.wav")
    enter_pin: str = option("prompts/enter_pin.wav", help="Asks for the room's number.")
    wrong_pin: str = option("prompts/wrong_pin.wav", help="Said when there is no such room.")
    wrong_pin_bye: str = option("prompts/wrong_pin_bye.wav", help="Said before a caller without a room is hung up.")
    entering_conference: str = option("prompts/entering_conference.wav", help="Said before the caller enters.")
    digits_dir: str = option("", help="Folder of 0.wav … 9.wav, to say the room's number; empty: not said.")
    playout_type: str = playout_type()
    direct_room_re: Search | None = option(
        None, help="POSIX extended expression on the called user; a match goes to that room directly.", parse=parse_regex
    )
    direct_room_strip: int = option(0, help="So many leading characters of the called user are left out.")
    room_pin_split: int = option(0, help="The first so many digits are the room, the rest the participant; 0: no split.")
    feedback_file: str = option("", help="File that opinions are appended to.")
    stats_dir: str = option("", help="Folder of the file `stats`: calls, failed calls, seconds.")
    master_password: str = option("", help="Lets getRoomPassword and listRooms answer; empty: they refuse.", secret=True)
    participants_expire: bool = option(True, help="Participants whose call is over vanish from listings.")
    participants_expire_delay: int = option(10, help="After so long.", unit="s")
    rooms_expire: bool = option(True, help="Empty rooms vanish.")
    rooms_expire_delay: int = option(7200, help="After so long.", unit="s")
    room_sweep_interval: int = option(10, help="Rooms are swept at every so many roomCreate or dialout calls.", minimum=1)
    max_rooms: int = option(10_000, help="Rooms at once; no more are made by RPC or by callers.", minimum=1, maximum=1_000_000)
    ignore_pin: bool = option(False, help="Admin pins are not checked.")
    predefined_rooms: tuple[tuple[str, str], ...] = option((), help="room:pwd;room:pwd", parse=parse_rooms, secret=True)
    private_rooms: bool = option(False, help="Only rooms that were opened by roomCreate can be entered.")
    support_rooms_timeout: bool = option(False, help="Rooms close, and everybody goes, when roomCreate's timeout is over.")
    lonely_user_timer: int = option(0, help="Hang up whoever is alone for so long; 0: never.", unit="s")
    loop_first_participant_prompt: bool = option(False, help="Play first_participant again and again.")
    participant_id_param: str = option("", help="Key of P-App-Param with the participant's id.")
    participant_id_header: str = option("X-ParticipantID", help="Header with the participant's id, when no key is set.")

    IGNORED: ClassVar[tuple[str, ...]] = ("webconference_urlbase", "tell_pin", "star_finishes_pin")
