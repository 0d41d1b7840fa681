# SPDX-License-Identifier: GPL-2.0-or-later
"""A call as plain data, between two of its events, and back: what another process needs to go on with it, or a person to look at it.

Plain means: what JSON and msgpack carry. Not in it: what is queued in the media process, tasks that wait, objects of libraries. An
application adds its own part by `snapshot` and takes it back by `restore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from di.calls.state import AudioPhase, Phase
from di.kernel.errors import CallFailed
from di.kernel.value import Value
from di.sip.records import MediaNegotiated
from media.control.records import ReceivedFormat

if TYPE_CHECKING:
    from di.calls.session import Session

VERSION = 1
_TEXTS = (
    "request_uri", "from_header", "to_header", "call_id", "local_tag", "remote_tag", "contact_uri", "source_ip", "remote_media_ip", "user",
)  # fmt: skip


def take(session: Session) -> dict[str, Value]:
    """The call as it is now."""
    dialog, audio, info = session.dialog, session.audio, session.dialog.info
    other = session.pair.other(session) if session.pair is not None else None
    return {
        "version": VERSION,
        "id": session.id,
        "application": session.application,
        "app_params": dict(session.app_params),
        "attributes": dict(session.attributes),
        "started_s": session.started_s,
        "answered_s": session.answered_s,
        "dialog": {
            "phase": dialog.phase.name,
            "direction": info.direction,
            "has_offer": info.has_offer,
            "over_ipv6": info.over_ipv6,
            "interface": info.interface,
            "trusted": info.trusted,
            "source_port": info.source_port,
            "remote_media_port": info.remote_media_port,
            "headers": [[name, value] for name, value in info.headers],
            **{name: str(getattr(info, name)) for name in _TEXTS},
        },
        "audio": {
            "phase": audio.phase.name,
            "address": list(audio.address) if audio.address is not None else None,
            "negotiated": _plain(audio.negotiated) if audio.negotiated is not None else None,
            "input": audio.playlist.input,
            "output": audio.playlist.output,
            "room": audio.room,
            "tees": dict(audio.tees),
            "muted": audio.muted,
            "receiving": audio.receiving,
            "recording": audio.recording,
        },
        "timers_ms": {str(id): left for id, left in session.timers.left_ms().items()},
        "other": other.id if other is not None else "",
        "app": session.app.snapshot(),
    }


def restore(session: Session, data: Mapping[str, Value]) -> None:
    """Bring a new session of the same application into the state of a snapshot. Rooms and the other leg are joined by the caller.

    Raises CallFailed for data that is no snapshot, and what the application's `restore` raises.
    """
    if data.get("version") != VERSION:
        raise CallFailed(f"a call of version {data.get('version')!r} cannot be restored; {VERSION} is right")
    dialog_data, audio_data, timers = (_mapping(data, name) for name in ("dialog", "audio", "timers_ms"))
    try:
        _restore_dialog(session, dialog_data)
        _restore_audio(session, audio_data)
        for id, left_ms in timers.items():
            session.timers.set(int(id), float(str(left_ms)))
    except (KeyError, TypeError, ValueError) as error:
        raise CallFailed(f"this is no snapshot of a call: {type(error).__name__} {error}") from error
    session.attributes = dict(_mapping(data, "attributes"))
    session.app_params = {name: str(value) for name, value in _mapping(data, "app_params").items()}
    session.started_s, session.answered_s = float(str(data["started_s"])), float(str(data["answered_s"]))
    session.app.restore(data.get("app"))


def _restore_dialog(session: Session, data: Mapping[str, Value]) -> None:
    headers = data["headers"]
    if not isinstance(headers, (list, tuple)):
        raise TypeError("headers")
    session.dialog.phase = Phase[str(data["phase"])]
    session.dialog.info = replace(
        session.dialog.info,
        direction=str(data["direction"]),
        has_offer=data["has_offer"] is True,
        over_ipv6=data["over_ipv6"] is True,
        interface=_number(data.get("interface", 0)),
        trusted=data["trusted"] is True,
        source_port=_number(data["source_port"]),
        remote_media_port=_number(data["remote_media_port"]),
        headers=tuple((str(pair[0]), str(pair[1])) for pair in headers if isinstance(pair, (list, tuple))),
    )
    for name in _TEXTS:
        setattr(session.dialog.info, name, str(data[name]))


def _restore_audio(session: Session, data: Mapping[str, Value]) -> None:
    audio, address, negotiated = session.audio, data["address"], data["negotiated"]
    audio.phase = AudioPhase[str(data["phase"])]
    audio.address = (str(address[0]), _number(address[1])) if isinstance(address, (list, tuple)) else None
    if isinstance(negotiated, dict):
        audio.negotiated = _negotiated(negotiated)
    audio.playlist.input, audio.playlist.output = data["input"] is True, data["output"] is True
    audio.room, audio.recording = str(data["room"]), str(data["recording"])
    audio.tees = {name: str(room) for name, room in _mapping(data, "tees").items()}
    audio.muted, audio.receiving = data["muted"] is True, data["receiving"] is True


def _plain(negotiated: MediaNegotiated) -> dict[str, Value]:
    """Without keys of SRTP: of that the suite is said."""
    bare = replace(negotiated, srtp=None)
    suite = negotiated.srtp.suite if negotiated.srtp is not None else ""
    return {**asdict(bare), "also": [asdict(one) for one in bare.also], "lines": list(bare.lines), "srtp": suite}


def _negotiated(data: Mapping[str, Value]) -> MediaNegotiated:
    def number(name: str) -> int:
        return _number(data[name])

    if data.get("srtp"):
        raise ValueError("its audio is protected with keys that no snapshot has")
    return MediaNegotiated(
        call=number("call"),
        remote_ip=str(data["remote_ip"]),
        remote_port=number("remote_port"),
        codec=str(data["codec"]),
        clock_hz=number("clock_hz"),
        channels=number("channels"),
        payload_type_send=number("payload_type_send"),
        payload_type_receive=number("payload_type_receive"),
        ptime_ms=number("ptime_ms"),
        dtmf_send=number("dtmf_send"),
        dtmf_receive=number("dtmf_receive"),
        send=data["send"] is True,
        receive=data["receive"] is True,
        fmtp=str(data["fmtp"]),
        dtmf_send_clock_hz=_number(data.get("dtmf_send_clock_hz", 8000)),
        dtmf_receive_clock_hz=_number(data.get("dtmf_receive_clock_hz", 8000)),
        also=tuple(_also(one) for one in _several(data.get("also", ())) if isinstance(one, dict)),
        rtcp_ip=str(data.get("rtcp_ip", "")),
        rtcp_port=_number(data.get("rtcp_port", 0)),
        lines=tuple(str(line) for line in _several(data.get("lines", ()))),
    )


def _also(data: Mapping[str, Value]) -> ReceivedFormat:
    return ReceivedFormat(
        _number(data["payload_type"]),
        _number(data["payload_type_send"]),
        str(data["codec"]),
        _number(data["clock_hz"]),
        _number(data["channels"]),
        str(data["fmtp"]),
    )


def _several(value: Value) -> Sequence[Value]:
    return value if isinstance(value, (list, tuple)) else ()


def _mapping(data: Mapping[str, Value], name: str) -> dict[str, Value]:
    found = data.get(name)
    if not isinstance(found, dict):
        raise CallFailed(f"this is no snapshot of a call: {name} is missing")
    return found


def _number(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no number")
    return value
