# SPDX-License-Identifier: GPL-2.0-or-later
"""Replacement patterns of call control and sbc (spec applications.md §22.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from di.calls.patterns import PatternValues, fill

VALUES = PatternValues(
    request_uri="sip:bob;p=1@proxy.example:5070;transport=tcp;x=y?Subject=hi",
    from_header='"Alice, \\"A\\"" <sip:alice@home.example;user=phone>;tag=f1',
    to_header="Bob <sip:bob@there.example>",
    call_id="abc@host",
    headers=(
        ("P-Asserted-Identity", "<sip:+49301@carrier.example>"),
        ("P-App-Param", 'uid=42;name="Mr; X"'),
        ("X-Uri", "<sip:x@y.example:99;a=b>"),
    ),
    source=("192.0.2.1", 5062),
    local=("192.0.2.9", 5060),
    next_hop="sip:gw.example:5080",
    variables={"account": "acme", "sub.part": "7"},
    maps={"areas": lambda text: "Berlin" if text.startswith("+4930") else None},
)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("plain", "plain"),
        ("$r", VALUES.request_uri),
        ("$rU", "bob;p=1"),
        ("$rd", "proxy.example:5070"),
        ("$rh-$rp", "proxy.example-5070"),
        ("$rH", "Subject=hi"),
        ("$rP", "transport=tcp;x=y"),
        ("$rP(x)", "y"),
        ("$rP(none)", ""),
        ("$fn", 'Alice, "A"'),
        ("$fU@$fh", "alice@home.example"),
        ("$fu", "alice@home.example"),
        ("$ft|$tt", "f1|"),
        ("$tn", "Bob"),
        ("$ci", "abc@host"),
        ("$aU $ai", "+49301 +49301@carrier.example"),
        ("$pU", ""),
        ("$si:$sp", "192.0.2.1:5062"),
        ("$di:$dp", "gw.example:5080"),
        ("$Ri:$Rp", "192.0.2.9:5060"),
        ("$P(uid)/$P(name)", "42/Mr; X"),
        ("$H(x-uri)", "<sip:x@y.example:99;a=b>"),
        ("$HU(X-Uri)$Hh(X-Uri)", "xy.example"),
        ("$HP(X-Uri)(a)", "b"),
        ("$H(none)", ""),
        ("$V(account)$V(sub.part)$V(none)", "acme7"),
        ("$M($aU=>areas)", "Berlin"),
        ("$M($fU=>areas)", ""),
        ("$_u($fU)$_l(ABC)$_s($fU)$_t($ci)", "ALICEabc5ost"),
        ("$_5(abc)", "900150983cd24fb0d6963f7d28e17f72"),
        ("$#(a b/$fU)", "a%20b%2Falice"),
        ("$m", "INVITE"),
        ("\\$rU\\r\\n\\t\\\\", "$rU\r\n\t\\"),
        ("$f.", VALUES.from_header + "."),
        ("100$", "100$"),
    ],
)
def test_each_pattern(text: str, right: str) -> None:
    assert fill(text, VALUES) == right


def test_an_unknown_pattern_gives_nothing_and_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert fill("a$Zb$rZc", VALUES) == "abc"
    assert [record.message for record in caplog.records] == [
        "there is no replacement pattern $Zb$ in 'a$Zb$rZc'", "there is no replacement pattern $rZc in 'a$Zb$rZc'",
    ]  # fmt: skip


@given(st.text('$()=>rftaUhpPHVM_u#\\<>sip:@;"x', max_size=40), st.text(max_size=30))
def test_any_text_and_any_header_give_a_text(text: str, header: str) -> None:
    assert isinstance(fill(text, PatternValues(from_header=header, request_uri=header, headers=(("X", header),))), str)
