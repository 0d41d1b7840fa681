# SPDX-License-Identifier: GPL-2.0-or-later
"""Every citation of the specification leads somewhere: `spec core.md §7.4` is a heading of docs/spec/core.md, Q12 a quirk of dsm.md.

A bare § after an RFC's number is that RFC's; after the word `spec` it must say of which file.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "spec"
SUFFIXES = {".py", ".md", ".js", ".mjs", ".css", ".html", ".toml", ".conf", ".dsm", ".sh"}

_SECTION = re.compile(r"§(\d+(?:\.\d+)*)")
_FILE = re.compile(r"\b([a-z]+)\.md[\s#]+(?=§)")
_JOINED = re.compile(r"(?:,|–|-| to| and| or|/)?\s*", re.ASCII)
_NAMELESS = re.compile(r"\bspec\s+§\d")
_QUIRK = re.compile(r"(?<![\w$.])Q(\d{1,2})\b(?!\.)")


@cache
def headings() -> dict[str, set[str]]:
    """Name of a file of the specification → the numbers of its sections."""
    return {page.stem: set(re.findall(r"^#+ (\d+(?:\.\d+)*)\b", page.read_text(), re.M)) for page in SPEC.glob("*.md")}


@cache
def quirks() -> set[str]:
    """Numbers of the quirks in dsm.md."""
    return set(re.findall(r"^\| Q(\d+) \|", (SPEC / "dsm.md").read_text(), re.M))


def citations(text: str, names: set[str]) -> Iterator[tuple[int, str, str]]:
    """Offset, file and section of each citation; what follows a first section by comma, dash, "to" or "and" is of the same file."""
    for first in _FILE.finditer(text):
        at = first.end()
        while found := _SECTION.match(text, at):
            if first[1] in names:
                yield found.start(), first[1], found[1]
            at = _JOINED.match(text, found.end()).end()  # type: ignore[union-attr]


def wrong(text: str, dsm: bool = False) -> list[tuple[int, str]]:
    """Line and complaint for each citation that leads nowhere. `dsm`: the text speaks of DSM's quirks by number."""
    known = headings()
    found = [
        (at, f"docs/spec/{file}.md has no section {section}")
        for at, file, section in citations(text, set(known))
        if section not in known[file]
    ]
    found += [(match.start(), "which file of the specification?") for match in _NAMELESS.finditer(text)]
    if dsm:
        there = quirks()
        found += [(match.start(), f"dsm.md has no Q{match[1]}") for match in _QUIRK.finditer(text) if match[1] not in there]
    return [(text.count("\n", 0, at) + 1, complaint) for at, complaint in found]


def sources() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.split("\n"):
        path = ROOT / name
        if path.suffix in SUFFIXES and path.is_file() and SPEC not in path.parents and path != Path(__file__):
            yield path


def test_citations_lead_somewhere() -> None:
    complaints: list[str] = []
    count = 0
    for path in sources():
        text = path.read_text(errors="replace")
        name = path.relative_to(ROOT).as_posix()
        count += sum(1 for _ in citations(text, set(headings())))
        complaints += [f"{name}:{line}: {why}" for line, why in wrong(text, dsm="dsm" in name)]
    assert not complaints, "\n" + "\n".join(complaints)
    assert count > 300, "the citations are not found any more"


def test_a_wrong_citation_is_found() -> None:
    good = "(spec dsm.md §2.2–§2.4, §3.8 and §4.1; RFC 3261 §99.9) Q9; docs/core.md says more"
    assert wrong(good, dsm=True) == []
    assert wrong("one\n(spec dsm.md §2.2, §2.99)") == [(2, "docs/spec/dsm.md has no section 2.99")]
    assert wrong("spec\ncore.md §77") == [(2, "docs/spec/core.md has no section 77")]
    assert wrong("see spec §4.2") == [(1, "which file of the specification?")]
    assert wrong("(Q999)", dsm=True) == [] and wrong("(Q99)", dsm=True) == [(1, "dsm.md has no Q99")]
