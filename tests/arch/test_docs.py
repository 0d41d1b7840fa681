# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents name exists: files, make targets, links."""

import re
from pathlib import Path

import pytest

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
