# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose box a call is for, and the start of the application (spec applications.md §14)."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from di.apps.api import (
    APP_PARAMS_HEADER,
    MESSAGES,
    Application,
    BoxOwner,
    CallInfo,
    Closer,
    ConfigError,
    Guesses,
    Messages,
    Refused,
    Services,
    Session,
    configured,
    first_header,
    order_param,
    parse_uri,
    uri_of,
    where,
)
from di.apps.prompts import PromptLibrary, languages_of
from di.apps.speech import Language, language, vocabulary
from di.apps.voicebox.app import Manner, Visit, VoiceboxCall
from di.apps.voicebox.options import Options, Spoken
from di.apps.voicebox.walk import COUNTS, MENU, TIMES, KeyAction

log = logging.getLogger(__name__)
_SIMPLE_DOMAIN = "default"


@dataclass(frozen=True, slots=True)
class BoxAsker:
    """Who wants in, and how."""

    owner: BoxOwner
    pin: str = ""
    language: str = ""


def asker(info: CallInfo, simple: bool) -> BoxAsker:
    """Whose box a call is for. Raises Refused with SEMS's words."""
    if simple:
        user = parse_uri(uri_of(info.from_header)).user
        if not user:
            raise Refused(500, "voicebox: could not parse From-URI")
        if not info.trusted:  # anybody may write any From
            raise Refused(403, "Forbidden")
        return BoxAsker(BoxOwner(_SIMPLE_DOMAIN, user))
    if first_header(info.headers, APP_PARAMS_HEADER) is None:
        raise Refused(500, "voicebox: parameters not found")

    def param(*names: tuple[str, str]) -> str:
        return order_param(info.headers, *names)

    user = param(("uid", "UserID"), ("usr", "User"))
    if not user:
        raise Refused(500, "voicebox: user missing")
    domain = param(("did", "DomainID"), ("dom", "Domain")) or parse_uri(info.request_uri).host
    return BoxAsker(BoxOwner(domain, user), param(("pin", "PIN")), param(("lng", "Language")))


class Voicebox:
    """What all calls share: prompts by domain and language, keys."""

    def __init__(self, messages: Messages | None, library: PromptLibrary, options: Options, guesses: Guesses) -> None:
        self._messages = messages
        self._library = library
        self._guesses = guesses
        self._simple = options.simple_mode
        self._default_language = options.default_language
        self._counts: dict[str, Language | None] = {spoken.name: spoken.counts for spoken in options.languages}
        keys = {
            options.startover_key: KeyAction.START_OVER,
            options.delete_key: KeyAction.DELETE,
            options.save_key: KeyAction.SAVE,
            options.repeat_key: KeyAction.REPEAT,
        }
        self._manner = Manner(keys, options.pin_attempts, options.key_timeout * 1000, options.say_time)

    def application(self, session: Session) -> Application:
        """The logic of a new call. Raises Refused."""
        if self._messages is None:  # a trial, which has no calls
            raise Refused(500, "voicebox: no message storage available")
        asked = asker(session.info, self._simple)
        prompts = self._library.find(asked.owner.domain, asked.language or self._default_language)
        if prompts is None:
            log.error(
                "call %s: voicebox: there are no prompts for domain %r and language %r, and no general ones (prompt_base_path)",
                session.id,
                asked.owner.domain,
                asked.language,
            )
            raise Refused(500, "voicebox: no menu for domain/language")
        visit = Visit(asked.owner, asked.pin, prompts, self._counts.get(prompts.language), self._guesses)
        return VoiceboxCall(session, self._messages, visit, self._manner)


def start(services: Services, options: Options) -> Closer:
    """Register the application. Raises ConfigError without prompts, storage, or four different keys."""
    messages = services.capabilities.find(MESSAGES)
    library = _library(services, options)
    _check_keys(options)
    if messages is None and not services.trial:
        raise ConfigError(*where(options, ""), "", "voicebox needs msg_storage before it in load_plugins")
    guesses = Guesses("voicebox PIN", services.clock.now_ns)
    boxes = {"now": Voicebox(messages, library, options, guesses)}

    def application(session: Session) -> Application:
        return boxes["now"].application(session)

    services.applications.register("voicebox", application)

    def reload(new: Options) -> None:
        _check_keys(new)
        boxes["now"] = Voicebox(messages, _library(services, new), new, guesses)

    services.on_reload("voicebox", Options, reload)
    return lambda: services.applications.unregister("voicebox")


def _library(services: Services, options: Options) -> PromptLibrary:
    base = configured(options.prompt_base_path, services.conf_dir)
    spoken = (*options.languages, Spoken(""))
    wanted = {each.name: (*MENU, *(COUNTS if each.counts is not None else ())) for each in spoken}
    further = {each.name: _time_names(each.name) for each in options.languages} if options.say_time else {}
    library = PromptLibrary("voicebox", base, options.domains, wanted, options.default_language, further)
    if not len(library):
        hint = f"there is no complete set of prompts in {base} (`cordboard prompts` makes some); it takes: {', '.join(MENU)}"
        raise ConfigError(*where(options, "prompt_base_path"), "prompt_base_path", hint)
    known = {each.name for each in options.languages}
    if options.default_language and not known & set(languages_of(options.default_language)):
        hint = f"{options.default_language!r} is none of languages: {', '.join(sorted(known)) or 'none'}"
        raise ConfigError(*where(options, "default_language"), "default_language", hint)
    return library


def _time_names(name: str) -> tuple[str, ...]:
    rules = language(name)
    return (*TIMES, *sorted(vocabulary(rules))) if rules is not None else ()


def _check_keys(options: Options) -> None:
    keys = [options.repeat_key, options.save_key, options.delete_key, options.startover_key]
    if len(set(keys)) < len(keys):
        hint = "repeat_key, save_key, delete_key and startover_key must be four different keys"
        raise ConfigError(*where(options, "startover_key"), "startover_key", hint)
