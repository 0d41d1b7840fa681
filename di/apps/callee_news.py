# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells a caller what becomes of the one who is called for him: a ring tone while it rings, a prompt when nobody comes.

The application hands `on_other_reply` and `on_playlist_empty` over; when nobody answers, the call ends after the prompt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from di.apps.api import DialResult, PlayTone, Session, SipReply, configured, result_of_code
from di.apps.prompts import Prompts

_RING_TONE = PlayTone((440, 480), on_ms=2000, off_ms=4000)
NAMES = {DialResult.BUSY: "busy_prompt", DialResult.NO_ANSWER: "no_answer_prompt"}
"""Which key's prompt is played; any other result has `failed_prompt`."""


@dataclass(frozen=True)
class NewsFiles:
    """The files of `busy_prompt`, `no_answer_prompt`, `failed_prompt`; empty: none is played."""

    busy_prompt: str
    no_answer_prompt: str
    failed_prompt: str

    def paths(self, conf_dir: Path) -> Mapping[str, Path | None]:
        """Key → file."""
        named = {name: getattr(self, name) for name in ("busy_prompt", "no_answer_prompt", "failed_prompt")}
        return {name: configured(text, conf_dir) if text else None for name, text in named.items()}


class CalleeNews:
    """Of one call. `prompts`: the application's, with the names of `NewsFiles` among them."""

    def __init__(self, session: Session, prompts: Prompts) -> None:
        self._session = session
        self._prompts = prompts.of_call(session.id)
        self._rings = False
        self.over = False
        """Nobody has answered; the call ends with its playlist."""

    def on_other_reply(self, reply: SipReply) -> None:
        """A reply to the INVITE of the second leg."""
        session = self._session
        if reply.code in (180, 182) and not self._rings and not self._bridged:
            self._rings = True
            session.audio.play(_RING_TONE)
        elif reply.code >= 300:
            result = result_of_code(reply.code)
            session.log(callee_result=result.value, callee_code=reply.code)
            self.over = True
            session.audio.flush()
            items = self._prompts.items(NAMES.get(result, "failed_prompt"))
            if items:
                session.audio.play(*items)
            else:
                self._end()
        elif reply.code >= 200:
            session.log(callee_result=DialResult.ANSWERED.value, callee_code=reply.code)

    @property
    def _bridged(self) -> bool:
        return self._session.pair is not None and self._session.pair.bridged

    def on_playlist_empty(self) -> bool:
        """True when it was the prompt's end: the call is over."""
        if self.over:
            self._end()
        return self.over

    def _end(self) -> None:
        self._session.stop()
