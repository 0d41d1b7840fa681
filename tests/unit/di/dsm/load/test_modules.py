# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that talk to services: what can be said without one; the services themselves are in tests/peers/test_dsm_*.py."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from di.dsm import PLUGIN
from di.dsm.language.errors import GrammarError
from di.dsm.load.modules import Modules
from di.dsm.mods import mod_sbc, mod_zrtp
from di.dsm.mods.sql_template import assigned_names
from di.kernel.errors import ConfigError
from tests.support.dsm_calls import Calls
from tests.support.dsm_scripts import load, read
from tests.support.playbook import Playbook


def test_keys_for_aws_are_asked_for_at_start(tmp_path: Path) -> None:
    text = "preload_mods=mod_aws\n"
    with pytest.raises(ConfigError, match="aws_access_key, aws_secret_access_key must be set"):
        Playbook(conf_dir=tmp_path).load(PLUGIN, text)
    (tmp_path / "aws.conf").write_text("aws_access_key=a\naws_secret_access_key=b\n")
    Playbook(conf_dir=tmp_path).load(PLUGIN, text)


IN_LEGS = {f"sbc.{name}" for name in ("stopCall", "putOnHold", "resumeHeld", "getCallStatus", "getSBCCallStatus", "profileSet")}
"""What scripts beside an sbc can do."""


def test_every_action_that_cannot_work_is_refused_or_warned_about() -> None:
    for module in (mod_sbc, mod_zrtp):
        name = module.__name__.rpartition(".")[2]
        for action in Modules().find(name).actions.keys() - IN_LEGS:
            text = f"import({name}); initial state A enter {{ {action}(a, b) }};"
            try:
                warnings = [warning.text for warning in read(text).warnings]
            except GrammarError as error:
                assert "cannot work" in str(error) or "no ZRTP" in str(error)
            else:
                assert any("throws `param`" in warning for warning in warnings), action
    with pytest.raises(GrammarError, match="no ZRTP"):
        load("import(mod_zrtp); initial state A; transition t A - zrtp.protocolEvent(x) -> A;")


@pytest.mark.parametrize(("sql", "names"), [
    ("SET @a=1, @b = 2", {"a", "b"}), ("select x into @a from t", {"a"}), ("select @a:=1", {"a"}), ("select * from t where x=@user", set()),
    ("update t set x=@user where y='SET @z=1'", set()), ("set names utf8", set()),
])  # fmt: skip
def test_user_variables_that_a_statement_assigns(sql: str, names: set[str]) -> None:
    assert assigned_names(sql) == names


async def test_xml_levels_and_results_that_are_no_nodes(caplog: pytest.LogCaptureFixture) -> None:
    broken = "<a xmlns='relative/uri'/>"  # a warning of the parser
    async with Calls() as calls:
        with caplog.at_level(logging.WARNING, "di.dsm.mods.mod_xml"):
            await calls.run("mod_xml", "xml.parse($t, d)", t=broken)
            assert not caplog.records
            await calls.run("mod_xml", "xml.setLoglevel(warn); xml.setLoglevel(nonsense); xml.parse($t, d)", t=broken)
            assert "relative" in caplog.text
        found = await calls.run(
            "mod_xml", "xml.parse($t, d); xml.evalXPath(count(//b), d); xml.getXPathResult($n=d.xpath); xml.evalXPath(string(//b/@x), d);"
            "xml.getXPathResult($x=d.xpath); xml.evalXPath(//c, d); set($none=as it was); xml.getXPathResult($none=d.xpath);"
            "xml.evalXPath(//comment(), d); xml.getXPathResult($c=d.xpath)", t="<a><b x='7'/><b/><!--said--></a>",
        )  # fmt: skip
    assert (found["n"], found["x"], found["none"], found["c"], found.get("errno", "")) == ("2", "7", "as it was", "said", "")
