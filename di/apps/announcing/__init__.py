# SPDX-License-Identifier: GPL-2.0-or-later
"""What announcement, early_announce, announce_transfer and ann_b2b do alike: find the audio for a call, and play it.

keys.py      configuration keys that all have                       lookup.py   who is asked for: files or a database, then the default
database.py  tables of SEMS, by MariaDB/MySQL or SQLite              answers.py  what the database said lately, and when it is down
audio_cache.py     audio out of a database as files for the media process  call.py     the call's part; `serve` registers an application
source.py    which database the keys name, what is wrong with them
"""
