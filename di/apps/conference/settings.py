# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of the module, and what a caller's parameters make of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from di.apps.api import APP_PARAMS_HEADER, CallInfo, Refused, app_param, configured, first_header, parse_uri, safe_name
from di.apps.conference.options import Options


@dataclass(frozen=True)
class CallerSettings:
    """One caller's room and wishes."""

    room: str
    lonely_file: Path
    dialout_suffix: str
    dialout_from: str
    dialout_extra: str
    listen_only: bool


class Files:
    """Where the module's sounds are."""

    def __init__(self, options: Options, conf_dir: Path) -> None:
        self.folder = configured(options.audio_path, conf_dir)
        self.default = self._file(options.default_announce)
        self.join = self._file(options.join_sound) if options.join_sound else None
        self.drop = self._file(options.drop_sound) if options.drop_sound else None

    def _file(self, text: str) -> Path:
        path = Path(text)
        return path if path.is_absolute() else self.folder / path

    def lonely(self, host: str, language: str) -> Path:
        """What the only participant hears: in his language, of his domain if it has one, else the default."""
        if safe_name(language):
            messages = self.folder / "lonely_user_msg"
            for folder in (messages / host, messages) if safe_name(host) else (messages,):
                path = folder / f"default_{language}.wav"
                if path.is_file():
                    return path
        return self.default


def parameter(headers: Iterable[tuple[str, str]], name: str) -> str | None:
    """A key of P-App-Param, or, only without that header, the deprecated header `P-<name>`; None when missing."""
    headers = tuple(headers)
    if first_header(headers, APP_PARAMS_HEADER) is not None:
        return app_param(headers, name) or None
    return first_header(headers, f"P-{name}")


def for_caller(info: CallInfo, options: Options, files: Files) -> CallerSettings:
    """Read a caller's settings. Raises Refused 404 for a user that is no room with RFC 4240 naming."""
    room = info.user
    if options.use_rfc4240_rooms:
        if not room.startswith("conf=") or len(room) == len("conf="):
            raise Refused(404, "Not Found")
        room = room[len("conf=") :]
    headers = info.headers
    suffix = parameter(headers, "Dialout-Suffix")
    return CallerSettings(
        room,
        files.lonely(parse_uri(info.request_uri).host.strip("[]"), parameter(headers, "Language") or ""),
        options.dialout_suffix if suffix is None else suffix,
        parameter(headers, "Dialout-From") or "",
        parameter(headers, "Dialout-Extra") or "",
        parameter(headers, "Listen-Only") is not None,
    )
