# SPDX-License-Identifier: GPL-2.0-or-later
"""The call of announce_transfer.

INVITE ─► 200 ─► file ─► REFER ─► 202 ─► NOTIFY 100 … ─► NOTIFY 2xx: BYE
                           └ refused: BYE                 └ 300 and above, or nothing in transfer_timeout: BYE
"""

from __future__ import annotations

import logging

from di.apps.announce_transfer.notify import read_notify
from di.apps.announce_transfer.options import Options
from di.apps.announcing.call import AnnouncedCall, AnnouncementDesk, serve
from di.apps.api import Closer, Outcome, Refused, RequestReceived, Services, Session, SipReply, is_sip_uri, uri_of
from di.apps.parameters import parameter

log = logging.getLogger(__name__)
_TOO_LONG = 1


def transfer_target(session: Session) -> str:
    """Where the caller is sent: the parameter `Refer-To`, the header P-Refer-To, else the called URI. Raises Refused for no SIP URI."""
    given = parameter(session.info.headers, "Refer-To")
    params = session.params
    if given is None and isinstance(params, dict) and isinstance(params.get("Refer-To"), str):
        given = str(params["Refer-To"])  # a call out: DI gave it
    target = uri_of(given) if given is not None else session.info.request_uri
    if not is_sip_uri(target):
        log.error(
            "call %s: announce_transfer: Refer-To %.80r is no SIP URI; the proxy's header or parameter must be one",
            session.id,
            given,
        )
        raise Refused(400, "Bad Refer-To")
    return target


class AnnounceTransfer(AnnouncedCall):
    """One call."""

    further_methods = ("NOTIFY",)

    def __init__(self, session: Session, desk: AnnouncementDesk[Options]) -> None:
        """Raises Refused when there is no file for the called user, or the target is no URI."""
        super().__init__(session, desk.announcements)
        self._timeout_ms = desk.options.transfer_timeout * 1000
        self._target = transfer_target(session)
        self._referred = False

    def on_invite(self, session: Session) -> Outcome:
        """Answered as soon as the audio is known."""
        return self.find() if self._path is None else None

    def on_outgoing_invite(self) -> Outcome:
        """A call out is transferred likewise, to where its parameters say."""
        return self.find() if self._path is None else None

    def on_session_start(self) -> None:
        """Play."""
        self.play()

    def on_playlist_empty(self) -> None:
        """The announcement is over, or could not be played: the caller is transferred in any case."""
        if self._referred:
            return
        self._referred = True
        self.session.timers.set(_TOO_LONG, self._timeout_ms)
        self.session.dialog.send("REFER", (f"Refer-To: <{self._target}>",), on_reply=self._refer_answered)

    def _refer_answered(self, reply: SipReply) -> None:
        if reply.code >= 300:
            log.warning(
                "call %s: announce_transfer: the caller refuses REFER to %s: %d %s",
                self.session.id,
                self._target,
                reply.code,
                reply.reason,
            )
            self.session.stop()

    def on_request(self, request: RequestReceived) -> Outcome:
        """NOTIFY tells how the transfer goes."""
        if request.method != "NOTIFY" or not self._referred:
            return super().on_request(request)
        news = read_notify(request)
        self.session.dialog.reply(request, news.code, news.reason)
        if news.over:
            level = logging.INFO if news.status < 300 else logging.WARNING
            log.log(level, "call %s: announce_transfer: transfer to %s: %d", self.session.id, self._target, news.status)
            self.session.stop()
        return None

    def on_timer(self, id: int) -> None:
        """The caller has not said how it went."""
        if id == _TOO_LONG:
            log.warning("call %s: announce_transfer: no result of the transfer to %s; hung up", self.session.id, self._target)
            self.session.stop()


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default file is missing."""
    return serve(services, "announce_transfer", options, AnnounceTransfer)
