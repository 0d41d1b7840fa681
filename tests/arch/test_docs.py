# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents name exists: files, make targets, links."""

import re
from pathlib import Path

import pytest

from di.kernel.server_options import CoreOptions
from di.server.plugin import NEEDLESS, NOT_HERE, available

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
PLACE = re.compile(r"`((?:di|interfaces|media|clients|etc|tests|docs)/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_named_files_and_links_exist(document: Path) -> None:
    text = document.read_text()
    missing = [name for name in PLACE.findall(text) if "<" not in name and not (ROOT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert not missing, f"{document.name} names what is not there"


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`make ([a-z-]+)`", (ROOT / "README.md").read_text()))
    assert named and named <= targets, named - targets


def test_every_application_and_key_of_sems_that_is_missing_is_said_to_be() -> None:
    """README promises SEMS's files and scripts: what of SEMS is not here stands in docs/differences.md, and nothing that is."""
    missing = (ROOT / "docs/differences.md").read_text().partition("## Not here")[2].partition("\n## ")[0]
    spec = (ROOT / "docs/spec/applications.md").read_text()
    named = {
        name
        for heading in re.findall(r"^## \d+\. (.*)$", spec, re.MULTILINE)
        for name in re.findall(r"^[a-z][a-z0-9_]+", heading)
    }
    others = spec.partition("## 27.")[2]
    named |= set(re.findall(r"^\| `([a-z0-9_-]+)`", others, re.MULTILINE))
    here = set(available()) | set(NEEDLESS)
    told = set(re.findall(r"`([a-z0-9_-]+)`", missing))
    assert len(named) > 40
    assert not NOT_HERE - set(available()) - told, "refused in load_plugins and not said to be missing"
    assert not named - here - told, "of SEMS, not here and not said to be missing"
    assert not told & set(available()) - {"di_dial", "dsm"}, "said to be missing, but here"
    assert not named - here - NOT_HERE, "load_plugins with such a name does not say that it is a plug-in of SEMS"
    for pattern in set(CoreOptions.IGNORED) - {"exclude_plugins"}:
        assert f"`{pattern}`" in missing
