# SPDX-License-Identifier: GPL-2.0-or-later
"""The shell of the media process: UDP sockets, ticker, file loader, recording writer, link to the hub."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is first imported: a tick's small products need no threads
