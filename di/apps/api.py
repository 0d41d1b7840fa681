# SPDX-License-Identifier: GPL-2.0-or-later
"""All that an application may import. An application is a package beside this file with a `PLUGIN`; `di/apps/echo` is the smallest.

    class Greeter(Application):
        def on_session_start(self) -> None:
            self.session.audio.play_file("/srv/prompts/hello.wav")

        def on_playlist_empty(self) -> None:
            self.session.stop()

    def start(services: Services, options: Options) -> Closer:
        services.applications.register("greeter", Greeter)
        return lambda: services.applications.unregister("greeter")

    PLUGIN = Plugin("greeter", options=Options, start=start)

The callbacks are those of `Application`; a call is steered by `session.dialog`, `session.audio`, `session.timers`, and a second leg by
`Pair`. What several applications need alike stands in `di.apps.keypad`, `di.apps.speech` and `di.apps.prompts`.
"""

from __future__ import annotations

from di.access.guesses import Guesses
from di.calls.admission import Control
from di.calls.application import Application, Factory
from di.calls.call_changes import NO_CHANGES, CallChanges, NameFilter
from di.calls.call_info import CallInfo, CallOut, Dialler, HoldStyle, Target
from di.calls.change_keys import filled as fill_control
from di.calls.control import Grant
from di.calls.control_modules import CONTROL_MAKER, ControlMaker, ControlUnreachable, OutsideAsk, RoutesOutside
from di.calls.events import EventPosted, Outcome, RoomChanged, SipReply, Verdict
from di.calls.mailbox import Mailbox, Timers
from di.calls.outside import OutsideReply, OutsideRequest
from di.calls.pair import Pair, PairOptions
from di.calls.passing import PassedReply, redirection
from di.calls.patterns import PatternValues
from di.calls.patterns import fill as fill_pattern
from di.calls.patterns import values_of as pattern_values
from di.calls.results import DialResult, result_of_code
from di.calls.second_leg import PASSED_ON, SecondLeg
from di.calls.selection import map_uri, parse_mapping
from di.calls.session import Session
from di.calls.sessions import Sessions
from di.calls.state import AudioPhase, Phase
from di.calls.transfer import parse_replaces
from di.calls.trust import counting_headers, trusts
from di.kernel.capabilities import Capability
from di.kernel.config import ConfigEntry, ConfigFile
from di.kernel.config import parse as parse_config
from di.kernel.errors import CallFailed, ConfigError, DIError, OutOfBounds, Refused, TypeMismatch
from di.kernel.folder_lock import FolderLock
from di.kernel.interfaces import NetInterfaces
from di.kernel.options import REQUIRED, describe, option, where
from di.kernel.options import load as load_options
from di.kernel.paths import configured, safe_name
from di.kernel.ports import TimerHandle
from di.kernel.posix_regex import Search, compile_extended
from di.kernel.registry import Caller, Lenient, di_method
from di.kernel.seldom import Seldom
from di.kernel.sqlite_thread import DatabaseFailed, SqliteThread
from di.kernel.value import Value
from di.media_control.codecs import NAMES as CODEC_NAMES
from di.server.plugin import Closer, Plugin
from di.server.services import Services
from di.sip.app_params import HEADER as APP_PARAMS_HEADER
from di.sip.app_params import lookup as app_param
from di.sip.app_params import order_param, printable
from di.sip.credentials import Credential
from di.sip.headers import (
    end_to_end,
    first_header,
    header_lines,
    header_problem,
    is_sip_uri,
    long_name,
    parse_uri,
    uri_of,
    uri_problem,
)
from di.sip.locate import SipPlace, parse_places
from di.sip.outside_records import OutsideReceived, OutsideReplied
from di.sip.records import (
    Appearance,
    CallConfirmed,
    CallOffered,
    CallProgressed,
    MessageSeen,
    ReplyReceived,
    RequestReceived,
    SessionTimer,
)
from di.sip.session_timer_keys import SessionTimerOptions
from di.stores.mailing import MAIL, Mail, MailAttachment, Mailbox822, MailQueue, Queued, is_address
from di.stores.messages import (
    MESSAGES,
    BoxChanged,
    BoxOwner,
    Existing,
    MessageBox,
    Messages,
    MsgCode,
    OpenedMessage,
    Stored,
    StoredMessage,
    message_name,
)
from media.control.audio_formats import is_recorded
from media.control.audio_formats import known as known_formats
from media.control.play_items import (
    PlayBridge,
    PlayEcho,
    PlayFile,
    PlayItem,
    PlayRecord,
    PlayRoom,
    PlaySeparator,
    PlaySilence,
    PlayTone,
)
from media.control.predef import PredefError, parse_predef
from media.control.recording_records import RecordingStopped
from media.control.records import Announce, ItemFailed, SpeakerChanged

__all__ = [
    "APP_PARAMS_HEADER",
    "CODEC_NAMES",
    "CONTROL_MAKER",
    "MAIL",
    "MESSAGES",
    "NO_CHANGES",
    "PASSED_ON",
    "REQUIRED",
    "Announce",
    "Appearance",
    "Application",
    "AudioPhase",
    "BoxChanged",
    "BoxOwner",
    "CallChanges",
    "CallConfirmed",
    "CallFailed",
    "CallInfo",
    "CallOffered",
    "CallOut",
    "CallProgressed",
    "Caller",
    "Capability",
    "Closer",
    "ConfigEntry",
    "ConfigError",
    "ConfigFile",
    "Control",
    "ControlMaker",
    "ControlUnreachable",
    "Credential",
    "DIError",
    "DatabaseFailed",
    "DialResult",
    "Dialler",
    "EventPosted",
    "Existing",
    "Factory",
    "FolderLock",
    "Grant",
    "Guesses",
    "HoldStyle",
    "ItemFailed",
    "Lenient",
    "Mail",
    "MailAttachment",
    "MailQueue",
    "Mailbox",
    "Mailbox822",
    "MessageBox",
    "MessageSeen",
    "Messages",
    "MsgCode",
    "NameFilter",
    "NetInterfaces",
    "OpenedMessage",
    "OutOfBounds",
    "Outcome",
    "OutsideAsk",
    "OutsideReceived",
    "OutsideReplied",
    "OutsideReply",
    "OutsideRequest",
    "Pair",
    "PairOptions",
    "PassedReply",
    "PatternValues",
    "Phase",
    "PlayBridge",
    "PlayEcho",
    "PlayFile",
    "PlayItem",
    "PlayRecord",
    "PlayRoom",
    "PlaySeparator",
    "PlaySilence",
    "PlayTone",
    "Plugin",
    "PredefError",
    "Queued",
    "RecordingStopped",
    "Refused",
    "ReplyReceived",
    "RequestReceived",
    "RoomChanged",
    "RoutesOutside",
    "Search",
    "SecondLeg",
    "Seldom",
    "Services",
    "Session",
    "SessionTimer",
    "SessionTimerOptions",
    "Sessions",
    "SipPlace",
    "SipReply",
    "SpeakerChanged",
    "SqliteThread",
    "Stored",
    "StoredMessage",
    "Target",
    "TimerHandle",
    "Timers",
    "TypeMismatch",
    "Value",
    "Verdict",
    "app_param",
    "compile_extended",
    "configured",
    "counting_headers",
    "describe",
    "di_method",
    "end_to_end",
    "fill_control",
    "fill_pattern",
    "first_header",
    "header_lines",
    "header_problem",
    "is_address",
    "is_recorded",
    "is_sip_uri",
    "known_formats",
    "load_options",
    "long_name",
    "map_uri",
    "message_name",
    "option",
    "order_param",
    "parse_config",
    "parse_mapping",
    "parse_places",
    "parse_predef",
    "parse_replaces",
    "parse_uri",
    "pattern_values",
    "printable",
    "redirection",
    "result_of_code",
    "safe_name",
    "trusts",
    "uri_of",
    "uri_problem",
    "where",
]  # fmt: skip
