# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys of legs with SRTP: from ConnectLeg into the rows that ``secure.py`` works on, and out again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from media.control.records import Srtp
from media.engine.leg import Leg
from media.engine.leg_table import LegTable
from media.engine.secure import SECURE, protect_due
from media.rtp import srtp

FIRST_ROWS = 8
OLD_KEY_NS = 10_000_000_000
"""So long a peer may go on under a key that it has changed."""


class SecureLegs:
    """`table`: SECURE (n,), row 0 is nobody's; replaced when it grows. `functions`: of libsrtp, none before the first leg needs them."""

    def __init__(self, legs: LegTable, counters: NDArray[np.int64]) -> None:
        self.table: NDArray[np.void] = np.zeros(FIRST_ROWS, SECURE)
        self.functions: NDArray[np.uint64] = np.zeros(4, np.uint64)
        self._legs, self._counters = legs, counters
        self._free = list(range(FIRST_ROWS - 1, 0, -1))
        self._changing: dict[int, tuple[Leg, int]] = {}
        """Legs with more than one context for what comes, by number, and until when the last of these is the old key's; 0: it is not."""

    def __len__(self) -> int:
        return len(self.table) - 1 - len(self._free)

    def connect(self, leg: Leg, wanted: Srtp | None, now_ns: int) -> None:
        """Give a leg its keys, the first ones or others; None: it has none. Raises SrtpError, the leg is then as it was."""
        if wanted == leg.srtp:
            return
        if wanted is None:
            self.close(leg)
            return
        self.functions = srtp.functions()
        ssrc = int(self._legs.rows[leg.row]["ssrc_out"])
        before, at = leg.srtp, int(self._legs.rows[leg.row]["secure"])
        ours_stay = before is not None and (before.suite, before.sent) == (wanted.suite, wanted.sent)
        theirs_stay = before is not None and (before.suite, before.received) == (wanted.suite, wanted.received)
        outgoing = 0
        if not ours_stay:
            rollover = srtp.rollover_of(int(self.table[at]["outgoing"]), ssrc) if before is not None else 0
            outgoing = srtp.sending(wanted.suite, wanted.sent, ssrc, rollover)
        try:
            incoming = [] if theirs_stay else self._receiving(leg, wanted)
        except srtp.SrtpError:
            srtp.close(outgoing)
            raise
        at = at or self._take(leg)
        row = self.table[at]
        if outgoing:
            srtp.close(int(row["outgoing"]))
            row["outgoing"] = outgoing
        if incoming:
            self._receive_with(leg, row, incoming, bool(wanted.received[0].mki), now_ns)
        leg.srtp = wanted

    def close(self, leg: Leg) -> None:
        """Forget a leg's keys."""
        at = self._legs.row(leg.row).secure
        if not at:
            return
        row = self.table[at]
        for context in (int(row["outgoing"]), *row["incoming"].tolist()):
            srtp.close(context)
        self.table[at] = np.zeros((), SECURE)
        self._legs.rows[leg.row]["secure"] = 0
        self._free.append(at)
        self._changing.pop(leg.number, None)
        leg.srtp = None

    def protect(self) -> None:
        """Protect the packets of a tick that are due; the last thing that is done to them."""
        if len(self):
            protect_due(self._legs.rows, self._legs.packets, self.table, self.functions, self._counters)

    def counted(self, row: np.void) -> dict[str, float]:
        """What a leg's row of the leg table has: whether it is secure, and what was dropped for that."""
        keys = self.table[int(row["secure"])]
        names = ("not_authentic", "replayed", "not_protected")
        return {"secure": int(row["secure"] > 0), **{f"packets_{name}": int(keys[name]) for name in names}}

    def check(self, now_ns: int) -> None:
        """End the use of old keys. To be called a few times a second."""
        for number, (leg, until_ns) in list(self._changing.items()):
            row = self.table[int(self._legs.rows[leg.row]["secure"])]
            contexts = [context for context in row["incoming"].tolist() if context]
            new = len(contexts) - (1 if until_ns else 0)
            used = next((turn for turn in range(new) if row["opened"][turn]), -1)
            if used >= 0:
                self._keep_only(row, used)
                del self._changing[number]
            elif until_ns and now_ns >= until_ns:
                srtp.close(contexts[new])
                row["incoming"][new] = 0
                self._changing[number] = leg, 0
                if new == 1:
                    del self._changing[number]

    def _receiving(self, leg: Leg, wanted: Srtp) -> list[int]:
        """Contexts for what comes under new keys, in the order in which they are to be tried."""
        made: list[int] = []
        at, state = int(self._legs.rows[leg.row]["secure"]), self._legs.rows[leg.row]
        ssrc = int(state["ssrc_in"])
        old = self._proven(self.table[at]) if at else 0
        rollover = srtp.rollover_of(old, ssrc) if old and state["started"] else 0
        try:
            if rollover:
                made.append(srtp.receiving(wanted.suite, wanted.received, (ssrc, rollover)))
            made.append(srtp.receiving(wanted.suite, wanted.received))
        except srtp.SrtpError:
            for context in made:
                srtp.close(context)
            raise
        return made

    def _receive_with(self, leg: Leg, row: np.void, contexts: list[int], mki: bool, now_ns: int) -> None:
        """Let new contexts be tried first. The old one stays for a while, unless packets carry an MKI otherwise than under it."""
        old = self._proven(row)
        for context in row["incoming"].tolist():
            if context != old:
                srtp.close(context)
        if old and bool(row["mki"]) is not mki:
            srtp.close(old)
            old = 0
        contexts = [*contexts, old] if old else contexts
        row["incoming"], row["opened"], row["mki"], row["ssrc_count"] = 0, 0, mki, 0
        row["incoming"][: len(contexts)] = contexts
        self._changing.pop(leg.number, None)
        if len(contexts) > 1:
            self._changing[leg.number] = leg, now_ns + OLD_KEY_NS if old else 0

    def _proven(self, row: np.void) -> int:
        """The context that the peer is known to send under: of several the first that has opened anything, else the oldest."""
        contexts = [context for context in row["incoming"].tolist() if context]
        used = next((turn for turn in range(len(contexts)) if row["opened"][turn]), len(contexts) - 1)
        return contexts[used] if contexts else 0

    def _keep_only(self, row: np.void, used: int) -> None:
        for turn, context in enumerate(row["incoming"].tolist()):
            if turn != used:
                srtp.close(context)
        kept, opened = int(row["incoming"][used]), int(row["opened"][used])
        row["incoming"], row["opened"] = 0, 0
        row["incoming"][0], row["opened"][0] = kept, opened

    def _take(self, leg: Leg) -> int:
        if not self._free:
            old = len(self.table)
            self.table = np.concatenate([self.table, np.zeros(old, SECURE)])
            self._free = list(range(2 * old - 1, old - 1, -1))
        at = self._free.pop()
        state = self._legs.rows[leg.row]
        state["secure"] = at
        if not state["packets_sent"]:  # no rollover before the peer has heard of the first packet (RFC 3711 §3.3.1)
            state["sequence_out"] = int(state["sequence_out"]) & 0x7FFF
        return at
