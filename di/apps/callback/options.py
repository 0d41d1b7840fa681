# SPDX-License-Identifier: GPL-2.0-or-later
"""callback.conf."""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import REQUIRED, Search, compile_extended, option


@dataclass(frozen=True)
class CallerPattern:
    """Whose calls are called back; `text` is what the file says."""

    text: str

    @property
    def search(self) -> Search:
        """Looks for it in a From URI."""
        return compile_extended(self.text)


def parse_pattern(text: str) -> CallerPattern:
    """Read a POSIX extended expression. Raises ValueError for what is none."""
    if not text:
        raise ValueError("it is empty and would let everybody be called back; right is an expression for From URIs")
    compile_extended(text)
    return CallerPattern(text)


@dataclass(frozen=True)
class Options:
    """Who is called back, by which gateway, and what he hears."""

    accept_caller_re: CallerPattern = option(
        REQUIRED, help="Expression for From URIs: these are called back.", parse=parse_pattern
    )
    gw_user: str = option(REQUIRED, help="Our user at the gateway: From of the calls out.")
    gw_domain: str = option(REQUIRED, help="The gateway: host[:port] that numbers are called at.")
    auth_user: str = option("", help="User of the credentials; empty: gw_user.")
    auth_pwd: str = option(REQUIRED, help="Password of the credentials.", secret=True)
    cb_wait: int = option(5, help="How long after the call it is called back.", unit="s", maximum=3600)
    welcome_prompt: str = option("", help="Asks for the number.")
    digits_dir: str = option("", help="Folder of 0.wav … 9.wav, by which the number is read back; empty: it is not.")
    playout_type: str = option("adaptive", help="Playout buffer: adaptive, adaptive_jb or simple.")
    entry_time: int = option(
        60,
        help="Time for entering the number, from the end of the prompt; then the call ends.",
        unit="s",
        minimum=1,
        maximum=3600,
    )
    ring_time: int = option(0, help="How long the wanted number may ring; 0: `sip_timer_C`.", unit="s", maximum=3600)
    max_waiting: int = option(
        100, help="Most callers who wait to be called back or are being called; further ones are declined.", minimum=1
    )
    busy_prompt: str = option("", help="Played when the wanted number is busy; empty: none, the call ends.")
    no_answer_prompt: str = option("", help="Played when nobody answers there.")
    failed_prompt: str = option("", help="Played when it cannot be reached otherwise.")
