# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts that applications say: spoken by the engine of prompts.conf (docs/prompts.md), each once, into a folder that goes with the server.

The engine is a program beside the server and runs for some 10 ms a sentence; a thread waits for it. A text that was said before is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections import OrderedDict
from pathlib import Path

from di.spoken.options import Options as PromptOptions

LONGEST = 2000
"""Characters of a text."""
_AT_ONCE = 2
_MOST_WAITING = 100
_MOST_KEPT = 500
_RATE_HZ = 16000


class CannotSpeak(Exception):
    """A text cannot be spoken; the text of this says why. `code` as of SIP: 503 when it might work later."""

    def __init__(self, reason: str, code: int = 500) -> None:
        super().__init__(reason)
        self.code = code


class Speaker:
    """`options`: of prompts.conf."""

    def __init__(self, options: PromptOptions) -> None:
        self._options = options
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._made: OrderedDict[str, Path] = OrderedDict()
        self._making: dict[str, asyncio.Future[Path]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def speak(self, text: str, language: str) -> str:
        """The file of a text. Raises CannotSpeak."""
        key = hashlib.sha256(f"{self._options.tts_command}\0{language}\0{text}".encode("utf-8", "surrogateescape")).hexdigest()[
            :32
        ]
        path = self._made.get(key)
        if path is not None and path.is_file():
            self._made.move_to_end(key)
            return str(path)
        making = self._making.get(key)
        if making is None:
            if len(self._making) >= _MOST_WAITING:
                raise CannotSpeak(f"{_MOST_WAITING} texts wait to be spoken already", 503)
            making = self._making[key] = asyncio.ensure_future(self._make(key, text, language))
            making.add_done_callback(lambda _: self._making.pop(key, None))
        return str(await asyncio.shield(making))

    async def _make(self, key: str, text: str, language: str) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="cordboard-said-")
        path = Path(self._folder.name) / f"{key}.wav"
        async with self._places:
            await asyncio.to_thread(_speak, self._options, text, language, path)
        self._made[key] = path
        while len(self._made) > _MOST_KEPT:
            _, old = self._made.popitem(last=False)
            old.unlink(missing_ok=True)
        return path

    def close(self) -> None:
        """Remove what was said."""
        for making in self._making.values():
            making.cancel()
        if self._folder is not None:
            self._folder.cleanup()


def _speak(options: PromptOptions, text: str, language: str, path: Path) -> None:
    """Runs in a thread. What it needs is imported when the first text is said: most servers never say one."""
    import soundfile

    from di.spoken.engine import EngineFailed, SpeechEngine
    from di.spoken.level import prepare

    engine = SpeechEngine(options.tts_command, options.tts_timeout)
    if engine.missing:
        raise CannotSpeak(engine.missing)
    voice = dict(options.tts_voices).get(language, language)
    raw = path.with_suffix(".raw.wav")
    try:
        samples, rate_hz = engine.speak(text, language, voice, raw)
        soundfile.write(path, prepare(samples, rate_hz, _RATE_HZ, options.level), _RATE_HZ, "PCM_16")
    except (EngineFailed, OSError, soundfile.SoundFileError) as error:
        raise CannotSpeak(f"the text cannot be spoken: {error}") from error
    finally:
        raw.unlink(missing_ok=True)
