# SPDX-License-Identifier: GPL-2.0-or-later
"""The first party's call.

dial_auth_b2b ─► first party answers ─► announcement ─► second party is called ─► both talk ─► one hangs up, the other gets a BYE
                                                          └ nobody answers ─► a prompt, if there is one, and BYE
"""

from __future__ import annotations

from dataclasses import dataclass

from di.apps.api import (
    Application,
    Closer,
    ConfigError,
    Credential,
    Pair,
    PairOptions,
    Refused,
    Services,
    Session,
    SipReply,
    Target,
    Value,
    configured,
    is_sip_uri,
    parse_uri,
    where,
)
from di.apps.callee_news import CalleeNews, NewsFiles
from di.apps.click2dial.options import Options
from di.apps.prompts import ANNOUNCEMENT, Asked, PromptFolder, Prompts


@dataclass(frozen=True)
class ClickModule:
    """What all its calls share."""

    options: Options
    files: PromptFolder
    prompts: Prompts


class ClickedCall(Application):
    """The first party. Its session parameters are realm, user and password for both calls, and the second party's URI."""

    def __init__(self, session: Session, module: ClickModule) -> None:
        """Raises Refused for a call in (606), and for parameters that are no such four texts (400)."""
        super().__init__(session)
        if session.info.incoming:
            raise Refused(606, "Not Acceptable")
        realm, user, password, self._callee = _four_texts(session.params)
        self._credential = Credential(realm, user, password)
        self._module = module
        self._news = CalleeNews(session, module.prompts)
        self._connecting = False

    def on_outgoing_invite(self) -> None:
        """The first party's network may want to know who we are."""
        plan, credential = self.session.dialog.plan, self._credential
        plan.realm, plan.username, plan.password = credential.realm, credential.user, credential.password

    def on_session_start(self) -> None:
        """Say what this call is about."""
        info = self.session.info
        self.session.log(callee=self._callee)
        path = self._module.files.find(Asked(parse_uri(info.request_uri).host.strip("[]"), info.user), self.session.id)
        if path is None:
            self._connect()
        else:
            self.session.audio.play_file(str(path))

    def on_playlist_empty(self) -> None:
        """The announcement is over, or the prompt after which the call ends."""
        if not self._news.on_playlist_empty():
            self._connect()

    def _connect(self) -> None:
        if self._connecting:
            return
        self._connecting = True
        options = self._module.options
        target = Target(self._callee, credential=self._credential, ring_ms=options.ring_time * 1000)
        Pair(self.session, PairOptions(early_media=options.relay_early_media, application="click2dial")).connect([target])

    def on_other_reply(self, reply: SipReply) -> None:
        """How the second party's call goes."""
        self._news.on_other_reply(reply)


def _four_texts(params: Value) -> tuple[str, str, str, str]:
    if not isinstance(params, list) or len(params) != 4:
        raise Refused(400, "click2dial needs realm, user, password and the second party's URI; di_dial.dial_auth_b2b gives them")
    realm, user, password, callee = params
    if not (isinstance(realm, str) and isinstance(user, str) and isinstance(password, str) and isinstance(callee, str)):
        raise Refused(400, "click2dial needs four texts")
    if not is_sip_uri(callee):
        raise Refused(400, "click2dial: the second party is no SIP URI")
    return realm, user, password, callee


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError when the default announcement is missing."""
    now = {"module": _module(services, options)}
    services.applications.register("click2dial", lambda session: ClickedCall(session, now["module"]))

    def reload(new: Options) -> None:
        now["module"] = _module(services, new)

    services.on_reload("click2dial", Options, reload)
    return lambda: services.applications.unregister("click2dial")


def _module(services: Services, options: Options) -> ClickModule:
    folder = configured(options.announce_path, services.conf_dir)
    files = PromptFolder("click2dial", folder, ANNOUNCEMENT, options.default_announce)
    if not files.default.is_file():
        hint = f"there is no file {files.default}; name an existing one (`cordboard prompts build` makes the samples)"
        raise ConfigError(*where(options, "default_announce"), "default_announce", hint)
    news = NewsFiles(options.busy_prompt, options.no_answer_prompt, options.failed_prompt)
    prompts = Prompts("click2dial", news.paths(services.conf_dir))
    for path in (str(files.default), *prompts.paths()):
        services.sessions.preload(path)
    return ClickModule(options, files, prompts)
