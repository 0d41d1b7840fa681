# SPDX-License-Identifier: GPL-2.0-or-later
"""A hub with DSM scripts on real sessions, SIP and media played by hand."""

from __future__ import annotations

from pathlib import Path

from di.dsm import PLUGIN
from media.control import play_items
from tests.support.playbook import Playbook

ETC = Path(__file__).parents[2] / "etc"


def server(folder: Path, scripts: dict[str, str], conf: str = "") -> Playbook:
    """A hub with these scripts loaded and registered."""
    for name, text in scripts.items():
        (folder / "dsm" / f"{name}.dsm").write_text(text)
    names = ",".join(scripts)
    text = f"diag_path=dsm/\nload_diags={names}\nregister_apps={names}\n{conf}\n"
    (folder / "dsm.conf").write_text(text)
    book = Playbook(conf_dir=folder)
    book.load(PLUGIN, text)
    return book


def played(book: Playbook, leg: int) -> list[str]:
    """What stands in a leg's playlist: names of files, else the kind of item."""
    return [
        Path(item.path).name if isinstance(item, play_items.PlayFile) else type(item).__name__
        for item in book.media.legs[leg].playlist
    ]
