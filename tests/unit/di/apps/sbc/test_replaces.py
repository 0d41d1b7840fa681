# SPDX-License-Identifier: GPL-2.0-or-later
"""Dialogs that are named across the border."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from di.apps.sbc.replaces import DialogName, fixed_refer_to, fixed_replaces


def other(call_id: str, to_tag: str, from_tag: str) -> DialogName | None:
    return DialogName("b@far", "bob", "us-b") if (call_id, to_tag, from_tag) == ("a@near", "us-a", "anna") else None


def test_a_dialog_of_ours_is_named_as_the_far_side_has_it() -> None:
    assert fixed_replaces("a@near;from-tag=anna;to-tag=us-a;early-only", other) == "b@far;to-tag=bob;from-tag=us-b;early-only"
    assert fixed_replaces("x@near;to-tag=us-a;from-tag=anna", other) == "x@near;to-tag=us-a;from-tag=anna"
    refer = '"C" <sip:c@there;transport=tcp?Subject=x&Replaces=a%40near%3Bto-tag%3Dus-a%3Bfrom-tag%3Danna>;method=INVITE'
    said = '"C" <sip:c@there;transport=tcp?Subject=x&Replaces=b%40far%3Bto-tag%3Dbob%3Bfrom-tag%3Dus-b>;method=INVITE'
    assert fixed_refer_to(refer, other) == said
    assert fixed_refer_to("<sip:c@there>", other) == "<sip:c@there>"


@given(st.text(max_size=80))
def test_any_other_text_stays(text: str) -> None:
    assert fixed_replaces(text, other) == text and fixed_refer_to(text, other) == text
