# SPDX-License-Identifier: GPL-2.0-or-later
"""`enable_bleg_uas_auth`: who sends requests inside the B leg must show credentials, which DI `uac_auth` checks.

BYE, re-INVITE, UPDATE and PRACK are answered by the SIP stack before anybody is asked: they pass without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from di.apps.api import CallFailed, DIError, OutsideReply, RequestReceived, Value, first_header
from di.apps.sbc.keys import is_yes
from di.apps.sbc.profile import Profile

log = logging.getLogger(__name__)
Check = Callable[[str, str, list[Value]], object]
"""Call a DI function: module, function, arguments."""


def challenge(profile: Profile, request: RequestReceived, check: Check) -> OutsideReply | None:
    """The 401 that a request gets instead of passing; None: it passes. 500 when nobody can check."""
    if not is_yes(profile.enable_bleg_uas_auth):
        return None
    shown: Value = {
        "method": request.method,
        "authorization": first_header(request.headers, "Authorization") or "",
        "body": request.body,
    }
    who: list[Value] = [profile.uas_auth_bleg_realm, profile.uas_auth_bleg_user, profile.uas_auth_bleg_pwd]
    try:
        answer = check("uac_auth", "checkAuth", [shown, *who])
    except (DIError, CallFailed) as error:
        return _unchecked(request, str(error))
    if not isinstance(answer, list) or len(answer) < 3:
        return _unchecked(request, "its answer is none")
    if answer[0] == 200:
        return None
    return OutsideReply(401, "Unauthorized", (str(answer[2]).strip(),))


def _unchecked(request: RequestReceived, why: str) -> OutsideReply:
    log.error("call %d: sbc: uac_auth.checkAuth cannot check a %s: %s: 500", request.call, request.method, why)
    return OutsideReply(500, "Server Internal Error")


def auth_problem(profile: Profile, is_loaded: bool) -> tuple[str, str]:
    """(key, why) a profile cannot be used; two empty texts when it can."""
    if profile.enable_bleg_uas_auth in ("", "no"):
        return "", ""
    if not is_loaded:
        return "enable_bleg_uas_auth", "needs the module uac_auth: put it before sbc in load_plugins"
    for key in ("uas_auth_bleg_realm", "uas_auth_bleg_user", "uas_auth_bleg_pwd"):
        if not getattr(profile, key):
            return key, "is needed with enable_bleg_uas_auth"
    return "", ""
