# SPDX-License-Identifier: GPL-2.0-or-later
"""What the service is told, and what it may answer. Pure.

{"allow": true, "seconds": 60, "renew": true, "warn_seconds": 10, "account": "acme", "charge_id": "42"}
{"allow": false, "code": 402, "reason": "Insufficient Credit"}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from di.calls.control import Grant
from di.calls.control_modules import ControlUnreachable
from di.kernel.errors import Refused

_KNOWN = frozenset(("allow", "seconds", "renew", "warn_seconds", "account", "charge_id", "code", "reason"))
_LONGEST_S = 86_400.0 * 30
_ASK_BEFORE_S = 5.0


def read_answer(text: bytes, warn_path: str) -> Grant:
    """Read an answer. Raises Refused for a no, ControlUnreachable for what is no answer: who sends that is out of order."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ControlUnreachable("the answer is no JSON") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("allow"), bool):
        raise ControlUnreachable('the answer is no object with "allow": true or false')
    if unknown := answer.keys() - _KNOWN:
        raise ControlUnreachable(f"the answer has {', '.join(sorted(map(str, unknown)))}; known are {', '.join(sorted(_KNOWN))}")
    if not answer["allow"]:
        raise _refusal(answer)
    seconds = _seconds(answer, "seconds")
    renew = answer.get("renew", False)
    if not isinstance(renew, bool):
        raise ControlUnreachable('"renew" is neither true nor false')
    return Grant(
        seconds,
        ask_before_s=min(_ASK_BEFORE_S, seconds / 2) if renew and seconds else 0.0,
        final=not renew,
        warn_s=_seconds(answer, "warn_seconds") or 0.0,
        warn_path=warn_path,
        account=_text(answer, "account"),
        charge_id=_text(answer, "charge_id"),
    )


def _refusal(answer: Mapping[str, object]) -> Refused:
    code, reason = answer.get("code", 402), _text(answer, "reason") or "Payment Required"
    if not isinstance(code, int) or isinstance(code, bool) or not 400 <= code <= 699:
        raise ControlUnreachable(f"code {code!r}; right is 400 to 699")
    return Refused(code, reason)


def _seconds(answer: Mapping[str, object], name: str) -> float | None:
    value = answer.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not 0 <= value <= _LONGEST_S:
        raise ControlUnreachable(f'"{name}" is {value!r}; right are 0 to {_LONGEST_S:.0f} seconds')
    return float(value)


def _text(answer: Mapping[str, object], name: str) -> str:
    value = answer.get(name, "")
    if not isinstance(value, str) or len(value) > 200 or any(ord(letter) < 32 or letter == "\x7f" for letter in value):
        raise ControlUnreachable(f'"{name}" is no text of one line of up to 200 letters')
    return value
