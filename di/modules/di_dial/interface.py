# SPDX-License-Identifier: GPL-2.0-or-later
"""The functions of `di_dial`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from di.calls.call_info import CallOut, Dialler
from di.kernel.registry import Caller, di_method
from di.kernel.value import Value
from di.modules.di_dial.options import DialPin, Options, read_pins
from di.sip.credentials import Credential

if TYPE_CHECKING:
    from di.calls.sessions import Sessions
    from di.server.plugin import Closer
    from di.server.services import Services

_FAILED = "<failed>"


class Dialer:
    """Every function answers with a list of one text: the new call's tag, or what went wrong."""

    def __init__(self, sessions: Sessions, pins: dict[str, DialPin]) -> None:
        self._sessions = sessions
        self._pins = pins

    @di_method("dial", dangerous=True)
    def dial(self, caller: Caller, application: str, user: str, from_uri: str, to_uri: str, *extra: Value) -> list[Value]:
        """Call a URI for an application; a further argument becomes the call's session parameters."""
        params = extra[0] if extra else None
        return [self._place(Dialler.of("di_dial.dial", caller), application, user, from_uri, to_uri, to_uri, params) or _FAILED]

    @di_method("dial_auth", dangerous=True)
    def dial_auth(
        self,
        caller: Caller,
        application: str,
        user: str,
        from_uri: str,
        to_uri: str,
        realm: str,
        auth_user: str,
        auth_pwd: str,
        *extra: Value,
    ) -> list[Value]:
        """Call a URI for an application, answering challenges with these credentials."""
        credential, params = Credential(realm, auth_user, auth_pwd), extra[0] if extra else None
        by = Dialler.of("di_dial.dial_auth", caller)
        return [self._place(by, application, user, from_uri, to_uri, to_uri, params, credential) or _FAILED + "\n"]

    @di_method("dial_auth_b2b", dangerous=True)
    def dial_auth_b2b(
        self,
        caller: Caller,
        application: str,
        announcement: str,
        from_uri: str,
        to_uri: str,
        caller_ruri: str,
        callee_ruri: str,
        realm: str,
        auth_user: str,
        auth_pwd: str,
    ) -> list[Value]:
        """Call one party and hand the application what it needs to connect it to another (click2dial)."""
        params: Value = [realm, auth_user, auth_pwd, callee_ruri]
        by = Dialler.of("di_dial.dial_auth_b2b", caller)
        return [self._place(by, application, announcement, from_uri, to_uri, caller_ruri, params) or _FAILED + "\n"]

    @di_method("dial_pin", dangerous=True)
    def dial_pin(self, caller: Caller, application: str, pin: str, user: str, to_user: str) -> list[Value]:
        """Call a user with the account that a dial-out pin stands for."""
        account = self._pins.get(pin)
        if account is None:
            return ["incorrect dialout pin.\n"]
        to_uri = f"sip:{to_user}@{account.realm}"
        credential = Credential(account.realm, account.user, account.password)
        from_uri = f"sip:{account.user}@{account.realm}"
        by = Dialler.of("di_dial.dial_pin", caller)
        return [self._place(by, application, user, from_uri, to_uri, to_uri, None, credential) or _FAILED + "\n"]

    @di_method("help", changes=False)
    def help(self) -> list[Value]:
        """Return one line of usage a function."""
        return [
            "dial <application> <user> <from> <to>",
            "dial_auth <application> <user> <from> <to> <realm> <auth_user> <auth_pwd>",
            "dial_auth_b2b <application> <announcement> <from> <to> <caller_ruri> <callee_ruri> <realm> <auth_user> <auth_pwd>",
            "dial_pin <application> <dialout pin> <user> <to_user>",
        ]

    def _place(
        self,
        by: Dialler,
        application: str,
        user: str,
        from_uri: str,
        to_uri: str,
        request_uri: str,
        params: Value,
        credential: Credential | None = None,
    ) -> str:
        order = CallOut(
            application, request_uri, f"<{from_uri}>", f"<{to_uri}>", user, params=params, credential=credential, by=by
        )
        return self._sessions.dialout(order)


def start(services: Services, options: Options) -> Closer:
    """Register the functions."""
    services.registry.register("di_dial", Dialer(services.sessions, read_pins(options.lines)))
    return lambda: services.registry.unregister("di_dial")
