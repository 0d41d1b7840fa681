# SPDX-License-Identifier: GPL-2.0-or-later
"""The panel's files as they are sent: types, tags, packing; and that no path gets anything else."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interfaces.web.files import PANEL, StaticFile, StaticFiles, accepts_gzip, read_files

FILES = read_files(PANEL)
HTML = (PANEL / "index.html").read_bytes()


def test_every_file_the_page_names_is_served_with_its_type() -> None:
    named = set(re.findall(r'(?:href|src)="(/panel/[^"]+)"', HTML.decode()))
    for source in PANEL.glob("*.js"):
        named |= {
            f"/panel/{name}"
            for name in re.findall(r'from "\./([^"]+)"|import\("\./([^"]+)"\)', source.read_text())
            for name in name
            if name
        }
    assert len(named) > 12
    for path in named:
        answer = FILES.answer(path)
        kind = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}[
            path.rpartition(".")[2]
        ]
        assert (answer.status, answer.headers["Content-Type"]) == (200, kind), path
        assert answer.body == (PANEL / path.removeprefix("/panel/")).read_bytes()


def test_unchanged_files_are_not_sent_again() -> None:
    first = FILES.answer("/")
    assert first.body == HTML and first.headers["Cache-Control"] == "no-cache"
    etag = first.headers["ETag"]
    for header in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        again = FILES.answer("/", header)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)
    assert FILES.answer("/", '"x"').status == 200
    packed = FILES.answer("/", etag, "br, gzip")
    assert packed.status == 200 and packed.headers["ETag"] != etag, "the packed form is another representation"
    assert gzip.decompress(packed.body) == HTML and packed.headers["Content-Encoding"] == "gzip"
    assert StaticFile.of("text/plain", b"x").packed == b""


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("", False), ("gzip", True), ("br;q=1, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.000", False), ("gzip;q=0.001", True),
        ("x-gzip", False),
    ],
)  # fmt: skip
def test_who_takes_gzip(header: str, taken: bool) -> None:
    assert accepts_gzip(header) is taken


def test_the_policy_lets_nothing_inline_and_nobody_else_in() -> None:
    policy = FILES.answer("/").headers["Content-Security-Policy"]
    assert (
        "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy and "frame-ancestors 'none'" in policy
    )
    text = HTML.decode()
    assert not re.search(r"<script(?![^>]* src=)", text) and not re.search(r"\son\w+=|style=|https?:", text)
    for source in (*PANEL.glob("*.js"), *PANEL.glob("*.css")):
        outside = set(re.findall(r"https?://[^\s\"']+", source.read_text())) - {"http://www.w3.org/2000/svg"}
        assert not outside, source.name
        assert not re.search(
            r"\.(inner|outer)HTML|insertAdjacentHTML|document\.write|\beval\(|localStorage", source.read_text()
        ), source.name


def test_only_known_kinds_are_read(tmp_path: Path) -> None:
    for name in ("index.html", "a.js", "b.secret", "c"):
        (tmp_path / name).write_text(name)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "d.css").write_text("d")
    assert set(read_files(tmp_path).paths()) == {"/", "/panel/a.js", "/panel/deep/d.css"}
    assert list(read_files(tmp_path / "nowhere").paths()) == [] == list(StaticFiles().paths())


PATHS = st.lists(st.sampled_from(["..", "/", "panel", "app.js", "%2e%2e", "\0", "etc/passwd", "\\"])).map("".join)


@given(st.one_of(st.text(), PATHS), st.text(), st.text())
def test_any_path_and_header_gives_a_listed_file_or_404(path: str, tag: str, encoding: str) -> None:
    answer = FILES.answer(path, tag, encoding)
    assert answer.status in ((200, 304) if path in FILES.paths() else (404,))
