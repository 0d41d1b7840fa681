# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a profile's rules, found when it is loaded."""

from __future__ import annotations

from pathlib import Path

from di.apps.api import CODEC_NAMES, Services
from di.apps.sbc.bleg_auth import auth_problem
from di.apps.sbc.keys import has_pattern, names
from di.apps.sbc.message_pcap import fixed_folder
from di.apps.sbc.name_lists import passes
from di.apps.sbc.profile import Profile

_OFFERED_BY_US = ("transcoder_codecs",)


def rules_problem(profile: Profile, services: Services) -> tuple[str, str]:
    """(key, why) a profile cannot be used here; two empty texts when it can."""
    problems = (
        auth_problem(profile, services.registry.interface("uac_auth") is not None),
        _media(profile),
        _codecs(profile),
        _messages(profile),
    )
    return next((found for found in problems if found[1]), ("", ""))


def _media(profile: Profile) -> tuple[str, str]:
    if passes(profile.media_filter, profile.mediafilter_list, "audio"):
        return "", ""
    return "media_filter", "lets no audio pass, and audio is all that passes here: other media are refused in any case"


def _codecs(profile: Profile) -> tuple[str, str]:
    for key in _OFFERED_BY_US:
        for name in () if has_pattern(getattr(profile, key)) else names(getattr(profile, key)):
            if name.partition("/")[0].upper() not in CODEC_NAMES:
                return key, f"{name!r} is no codec that can be spoken here; there are: {', '.join(CODEC_NAMES)}"
    if profile.enable_transcoder != "never" and not profile.transcoder_codecs:
        return "transcoder_codecs", f"is needed with enable_transcoder={profile.enable_transcoder}: names of codecs"
    return "", ""


def _messages(profile: Profile) -> tuple[str, str]:
    path = profile.msg_logger_path
    if not path:
        return "", ""
    if not path.startswith("/"):
        return "msg_logger_path", f"{path!r} must be an absolute path whose folder is no pattern, e.g. /var/log/sbc/$ci.pcap"
    folder = Path(fixed_folder(path))
    if folder == Path("/") or not folder.is_dir():
        return "msg_logger_path", f"{folder} is no folder that is there: make it, patterns may name what is below it"
    return "", ""
