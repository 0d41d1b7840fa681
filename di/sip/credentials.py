# SPDX-License-Identifier: GPL-2.0-or-later
"""Digest credentials that travel in session parameters (spec core.md §7.6: CredentialHolder)."""

from __future__ import annotations

from dataclasses import dataclass, field

from di.kernel.value import Value


@dataclass(frozen=True, slots=True)
class Credential:
    """Answers a challenge of `realm`; the password is never shown."""

    realm: str
    user: str
    password: str = field(repr=False)


def find_credential(params: Value) -> Credential | None:
    """The credential among a call's session parameters: the value itself or an element of the list."""
    if isinstance(params, Credential):
        return params
    if isinstance(params, (list, tuple)):
        return next((item for item in params if isinstance(item, Credential)), None)
    return None


def without_credential(params: Value) -> Value:
    """The session parameters that are the application's own: what is left, or None."""
    if isinstance(params, Credential):
        return None
    if isinstance(params, (list, tuple)) and any(isinstance(item, Credential) for item in params):
        rest = [item for item in params if not isinstance(item, Credential)]
        return rest[0] if len(rest) == 1 else (rest or None)
    return params
