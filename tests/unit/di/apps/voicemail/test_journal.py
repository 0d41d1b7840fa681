# SPDX-License-Identifier: GPL-2.0-or-later
"""The journal gives back what it was told."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from di.apps.voicemail import journal
from di.apps.voicemail.journal import JournalEntry
from di.apps.voicemail.order import VoicemailMode, VoicemailOrder

ORDER = VoicemailOrder(VoicemailMode.BOTH, "de", "a@b.example", "anna", "sip:ben@x", "d", "vm", "17", "3", 5, (("ref", "ü"),))


def test_rows_come_back_and_go() -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript(journal.SCHEMA)
    entry = JournalEntry("id1", "id1.wav", ORDER)
    journal.begin(connection, entry)
    assert journal.left(connection) == ([entry], [])
    changed = replace(entry, mailed=True, length_ms=1500)
    journal.note(connection, changed)
    connection.execute("INSERT INTO recordings (id, file, wanted) VALUES ('id2', 'f', '{}')")
    assert journal.left(connection) == ([changed], ["id2"])
    journal.done(connection, "id1")
    assert journal.left(connection) == ([], ["id2"])


def test_when_a_recording_is_everywhere() -> None:
    entry = JournalEntry("id1", "id1.wav", ORDER)
    assert not entry.complete and not replace(entry, mailed=True).complete and replace(entry, mailed=True, boxed=True).complete
    mail = replace(entry, order=replace(ORDER, mode=VoicemailMode.MAIL))
    assert not mail.complete and replace(mail, mailed=True).complete
