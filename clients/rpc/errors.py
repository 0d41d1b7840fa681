# SPDX-License-Identifier: GPL-2.0-or-later
"""What can go wrong with a call from outside."""

from __future__ import annotations


class RpcError(Exception):
    """A call did not give a result."""


class CallError(RpcError):
    """The server answered with an error: its code, its text and, over JSON-RPC, its data."""

    def __init__(self, code: int, text: str, data: object = None) -> None:
        super().__init__(f"{text} ({code})" + (f": {data}" if data is not None else ""))
        self.code, self.text, self.data = code, text, data


class Unreachable(RpcError):
    """No usable answer came: the server is not there, refuses the caller, or is something else."""


def unreachable(url: str, error: Exception) -> Unreachable:
    """The error with the address in it."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return Unreachable(f"{url}: {reason}")


def refused(url: str, status: int, reason: str) -> Unreachable:
    """The error for an HTTP status that is no answer to a call."""
    hint = {
        401: "credentials are needed: give a token (--token, or the variable CORDBOARD_TOKEN)",
        403: "the server does not take calls from here",
        404: "there is no RPC at this path",
        429: "too many requests or wrong tokens; wait a minute",
    }.get(status, reason)
    return Unreachable(f"{url}: HTTP {status}: {hint}")
