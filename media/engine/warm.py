# SPDX-License-Identifier: GPL-2.0-or-later
"""Compile every kernel, so that no tick has to: ``python -m media.engine.warm`` at set-up, ``warm()`` at each process start."""

from __future__ import annotations

from random import Random

import numpy as np

from media.control.play_items import PlayRoom, PlaySilence
from media.control.records import CloseLeg, ConnectLeg, Enqueue, MixIn, OpenLeg, SetupMixIn, SpanRoom
from media.dsp.resample import FrameConverter
from media.engine import relay, render
from media.engine.arrival import put_decoded
from media.engine.engine import Engine
from media.engine.options import EngineOptions
from media.engine.secure import protect_due
from media.io import batch


def warm() -> None:
    """Run each kernel once on a small engine of its own; no socket is opened."""
    engine = Engine(EngineOptions(), lambda address, port: 0, lambda index: None, Random(0))
    for leg, ptime_ms in ((1, 20), (2, 10)):
        engine.handle(OpenLeg(leg, "127.0.0.1", 20000 + leg), 0)
        engine.handle(ConnectLeg(leg, "127.0.0.1", 20000 + leg, "PCMU", 8000, 0, 0, ptime_ms), 0)
        engine.handle(Enqueue(leg, (PlayRoom("warm"),)), 0)
    FrameConverter(16000, 8000).convert(np.zeros(320, np.int16))
    put_decoded(engine.legs.rows, 0, np.zeros(160, np.int16), 0, engine.receiver.counters)  # what library codecs need
    engine.handle(SetupMixIn(1, 0.5), 0)
    engine.handle(MixIn(1, (PlaySilence(20),)), 0)
    files, batches = np.full(64, -1, np.int32), batch.Batches()
    batches.fit(len(engine.legs.rows), 1)
    files[0] = 1 << 20  # no such descriptor: the calls fail, the code around them is compiled
    ready = batch.Ready(1 << 20, np.zeros(batch.MOST_READY, batch.EVENT), np.zeros(1, np.int32))
    batch.drain(ready, batches.incoming, engine.receiver, 0, 0)
    batch.drain_reports(ready, batches.incoming, engine.receiver, 0, 0)
    batch.send_reports(files, engine.legs.rows, engine.keys, 0, 250, batches.report, 0, 0, engine.canonical_name)
    engine.handle(SpanRoom("warm", 1, (1,)), 0)
    protect_due(engine.legs.rows, engine.legs.packets, *engine.keys, engine.receiver.counters)
    for number in (1, 2):  # the second tick hears what the first has sent
        for _, words in engine.span_datagrams:
            engine.spans.put(1, words)
        engine.tick(20_000_000 * number)
    engine.tick_more(40_000_000)
    nobody = (np.zeros(0, relay.RELAY), engine.legs.rows, engine.legs.packets, np.zeros(1, np.int32), np.zeros(3, np.int64))
    relay.relay_tick(*nobody)
    relay.relay_more(*nobody[:3], nobody[4])
    render.nobody_due(engine.legs.rows)
    batch.flush(files, 1, engine.legs.rows, engine.legs.packets, batches.outgoing)
    engine.connections.addresses.grow(0)
    engine.handle(CloseLeg(1), 0)


if __name__ == "__main__":
    warm()
