# SPDX-License-Identifier: GPL-2.0-or-later
"""Allow names what a diagram takes: read out of its text, of those it goes on to, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from di.calls.second_leg import PASSED_ON
from tests.support.dsm_server import server

ASKS = "initial state A enter { set($enable_request_events=true) }; "
TAKES = "set(#processed=true)"


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("initial state A; transition k A - keyTest(#key==1) / stop(false) -> A;", ()),
        (f"{ASKS}transition r A - sipRequest / {TAKES} -> A;", PASSED_ON),
        (f"{ASKS}transition r A - sipRequest(#method==REFER) / {TAKES} -> A;", ("REFER",)),
        (f'{ASKS}transition r A - sipRequest; test(#method == "MESSAGE") / {TAKES} -> A;', ("MESSAGE",)),
        (f"{ASKS}transition r A - sipRequest(#method==BYE) / {TAKES} -> A;", ()),
        (f"{ASKS}transition r A - sipRequest / {{ if test(#method==SUBSCRIBE) {{ {TAKES} }} }} -> A;", ("SUBSCRIBE",)),
        (f"{ASKS}transition r A - sipRequest / append($l, #method) -> A;", ()),  # it only looks
        (f"{ASKS}transition r A - not sipRequest / {TAKES} -> A;", ()),
        (f"initial state A; transition r A - sipRequest / {TAKES} -> A;", ()),  # it is never shown any
        ("initial state A; transition k A - keyTest(#key==1) / callFSM(other) -> A;", ("NOTIFY",)),
        ("initial state A; transition k A - keyTest(#key==1) / jumpFSM($where) -> A;", ("NOTIFY", "REFER")),
        ("initial state A; transition k A - keyTest(#key==1) / B2B.connectCallee(sip:a@b, sip:a@b) -> A;", PASSED_ON),
    ],
)
def test_what_a_diagram_takes(folder: Path, text: str, methods: tuple[str, ...]) -> None:
    other = f"{ASKS}transition r A - sipRequest(#method==NOTIFY) / {TAKES} -> A;"
    third = f"{ASKS}transition r A - sipRequest(#method==REFER) / {TAKES} -> A;"
    book = server(folder, {"t": text, "other": other, "third": third})
    app: Any = book.up("app-t").app
    assert app.further_methods == methods
    allow = f"Allow: {', '.join(methods)}"
    assert app.session.dialog.allow == ((allow,) if methods else ())
