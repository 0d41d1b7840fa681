# SPDX-License-Identifier: GPL-2.0-or-later
"""The media process's codecs made known to pjmedia, so that pjsua negotiates them; pjmedia itself never codes a frame here.

    Listen.formats ─► FormatFactory ─► pjmedia's codec manager ─► offers, answers, one empty codec a stream

pjmedia's own codecs are taken out first: what they would allocate for every call (an Opus encoder and decoder, say) is never used.
pjsua2 does not show the codec manager, so this is ctypes in the same shared object. The layout of its pjmedia_codec_param is that of
pjproject 2.16 and 2.17; it is compared with what pjmedia says of its own codecs, and when it differs those stay as they are.
Everything runs in pjsip's one thread, and all memory that pjmedia is given lives as long as the factory.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, POINTER, Structure, byref, c_int, c_long, c_uint, c_uint8, c_uint16, c_uint32, c_void_p

from media.control.records import AudioFormat

log = logging.getLogger(__name__)

_AUDIO = 1
_LINEAR = 0  # PJMEDIA_FORMAT_L16: what a codec's other side is
_UNSUPPORTED = 220000 + 80  # any error will do: pjmedia passes it on
_FIRST_DYNAMIC = 96
_G722 = 9
_MOST_PARAMETERS = 16
_FRAME_MS, _FRAMES = 10, 2
"""Frames a packet are counted in 10 ms, so that a peer's ptime comes through; 20 ms without one."""

_OWN = ("g711", "g722", "gsm", "speex", "opus", "l16", "ilbc", "g7221", "bcg729", "silk", "passthrough")
"""`pjmedia_codec_<name>_deinit` takes pjmedia's own ones out; which of them there are depends on the build."""


class _Text(Structure):
    """pj_str_t."""

    _fields_ = [("pointer", c_void_p), ("length", c_long)]

    def __str__(self) -> str:
        return ctypes.string_at(self.pointer, self.length).decode("utf-8", "replace") if self.pointer else ""


class _Parameter(Structure):
    _fields_ = [("name", _Text), ("value", _Text)]


class _Fmtp(Structure):
    """pjmedia_codec_fmtp."""

    _fields_ = [("count", c_uint8), ("parameters", _Parameter * _MOST_PARAMETERS)]


class _Info(Structure):
    """pjmedia_codec_info."""

    _fields_ = [
        ("type", c_int),
        ("payload_type", c_uint),
        ("name", _Text),
        ("clock_hz", c_uint),
        ("channels", c_uint),
    ]


class _ParamInfo(Structure):
    _fields_ = [
        ("clock_hz", c_uint),
        ("channels", c_uint),
        ("average_bits", c_uint32),
        ("most_bits", c_uint32),
        ("most_frame_bytes", c_uint),
        ("frame_ms", c_uint16),
        ("frame_ms_divisor", c_uint8),
        ("encoder_ms", c_uint16),
        ("encoder_ms_divisor", c_uint8),
        ("sample_bits", c_uint8),
        ("payload_type", c_uint8),
        ("format", c_uint32),
    ]


class _ParamSetting(Structure):
    _fields_ = [
        ("frames_a_packet", c_uint8),
        ("flags", c_uint8),  # voice activity, comfort noise, enhancement, concealment, reserved: from the lowest bit on
        ("encoder", _Fmtp),
        ("decoder", _Fmtp),
        ("packet_loss", c_uint),
        ("complexity", c_uint),
        ("constant_rate", c_int),
    ]


class _Param(Structure):
    """pjmedia_codec_param."""

    _fields_ = [("info", _ParamInfo), ("setting", _ParamSetting)]


_CALLS = {
    "test": CFUNCTYPE(c_int, c_void_p, POINTER(_Info)),
    "defaults": CFUNCTYPE(c_int, c_void_p, POINTER(_Info), POINTER(_Param)),
    "list": CFUNCTYPE(c_int, c_void_p, POINTER(c_uint), POINTER(_Info)),
    "allocate": CFUNCTYPE(c_int, c_void_p, POINTER(_Info), POINTER(c_void_p)),
    "free": CFUNCTYPE(c_int, c_void_p, c_void_p),
    "destroy": CFUNCTYPE(c_int),
}
_ON_CODEC = CFUNCTYPE(c_int, c_void_p, c_void_p)
_CODEC_OPERATIONS = 8  # init, open, close, modify, then those that touch frames: parse, encode, decode, recover
_HARMLESS = 4


class _FactoryOperations(Structure):
    """pjmedia_codec_factory_op."""

    _fields_ = list(_CALLS.items())


class _Linked(Structure):
    """pjmedia_codec_factory and, with one field more, pjmedia_codec."""

    _fields_ = [("previous", c_void_p), ("next", c_void_p), ("data", c_void_p), ("third", c_void_p), ("fourth", c_void_p)]


class LayoutError(Exception):
    """This pjmedia is another one than the structures above were written for."""


class FormatFactory:
    """pjmedia's view of the formats. `take_over` puts it in the place of pjmedia's own codecs."""

    def __init__(self, library: ctypes.CDLL, formats: Sequence[AudioFormat]) -> None:
        self._library = library
        self._kept: list[object] = []  # what pjmedia points to
        self._infos = {_identity(known): self._info(known) for known in formats}
        self._params = {_identity(known): self._param(known) for known in formats}
        self._names = {known.name.lower() for known in formats}
        operations = (_ON_CODEC * _CODEC_OPERATIONS)(
            *(_ON_CODEC(_yes if i < _HARMLESS else _no) for i in range(_CODEC_OPERATIONS))
        )
        calls: tuple[Callable[..., int], ...] = (self._test, self._defaults, self._list, self._allocate, _yes, lambda: 0)
        self._operations = _FactoryOperations(*(kind(call) for kind, call in zip(_CALLS.values(), calls, strict=True)))
        self._factory = _Linked(third=ctypes.addressof(self._operations))
        # One empty codec serves all streams: it keeps nothing.
        self._codec = _Linked(third=ctypes.addressof(self._factory), fourth=ctypes.addressof(operations))
        self._kept.append(operations)
        library.pjsua_get_pjmedia_endpt.restype = c_void_p
        library.pjmedia_endpt_get_codec_mgr.argtypes, library.pjmedia_endpt_get_codec_mgr.restype = [c_void_p], c_void_p
        library.pjmedia_codec_mgr_register_factory.argtypes = [c_void_p, c_void_p]
        library.pjmedia_codec_mgr_get_default_param.argtypes = [c_void_p, POINTER(_Info), c_void_p]
        library.pjmedia_codec_mgr_set_default_param.argtypes = [c_void_p, POINTER(_Info), POINTER(_Param)]
        library.pjmedia_codec_mgr_find_codecs_by_id.argtypes = [c_void_p, POINTER(_Text), POINTER(c_uint), c_void_p, c_void_p]

    def take_over(self) -> None:
        """Replace pjmedia's codecs. Raises LayoutError before anything is changed, OSError when pjmedia refuses."""
        manager = self._library.pjmedia_endpt_get_codec_mgr(self._library.pjsua_get_pjmedia_endpt())
        self._check_layout(manager)
        for name in _OWN:
            end = getattr(self._library, f"pjmedia_codec_{name}_deinit", None)
            if end is not None:
                end()
        for identity in [known for known in self._infos if self._found(manager, known) is not None]:
            log.warning("codec %s is pjmedia's own and stays so", identity)
            del self._infos[identity]
        status = self._library.pjmedia_codec_mgr_register_factory(manager, byref(self._factory))
        if status != 0:
            raise OSError(f"pjmedia refused our codecs (status {status})")
        for identity, info in self._infos.items():  # kept by the manager: it asks us no more
            self._library.pjmedia_codec_mgr_set_default_param(manager, byref(info), byref(self._params[identity]))

    def _check_layout(self, manager: int) -> None:
        """Compare what pjmedia says of PCMU, and of Opus where it has it, with what is known of them."""
        pcmu = self._param_of(manager, "PCMU/8000/1")
        seen = (pcmu.info.clock_hz, pcmu.info.channels, pcmu.info.average_bits, pcmu.info.frame_ms, pcmu.info.sample_bits)
        if seen != (8000, 1, 64000, 10, 16) or not 1 <= pcmu.setting.frames_a_packet <= 2 or pcmu.setting.decoder.count:
            raise LayoutError(f"PCMU reads as {seen}")
        if self._found(manager, "opus/48000/2") is not None:
            fmtp = self._param_of(manager, "opus/48000/2").setting.decoder
            names = {str(fmtp.parameters[i].name) for i in range(min(fmtp.count, _MOST_PARAMETERS))}
            if "useinbandfec" not in names:
                raise LayoutError(f"Opus has the parameters {names}")

    def _param_of(self, manager: int, identity: str) -> _Param:
        info = self._found(manager, identity)
        if info is None:
            raise LayoutError(f"{identity} is not there")
        room = ctypes.create_string_buffer(4 * ctypes.sizeof(_Param))  # should the structure be larger than we think
        if self._library.pjmedia_codec_mgr_get_default_param(manager, info, room) != 0:
            raise LayoutError(f"{identity} has no parameters")
        return _Param.from_buffer_copy(room)

    def _found(self, manager: int, identity: str) -> ctypes._Pointer[_Info] | None:
        count, found = c_uint(1), POINTER(_Info)()
        text = self._text(identity)
        status = self._library.pjmedia_codec_mgr_find_codecs_by_id(manager, byref(text), byref(count), byref(found), None)
        return found if status == 0 and count.value else None

    def _text(self, text: str) -> _Text:
        data = ctypes.create_string_buffer(text.encode())
        self._kept.append(data)
        return _Text(ctypes.addressof(data), len(text))

    def _info(self, known: AudioFormat) -> _Info:
        payload_type = known.payload_type if known.payload_type >= 0 else _FIRST_DYNAMIC
        return _Info(_AUDIO, payload_type, self._text(known.name), pjmedia_clock_hz(known), known.channels)

    def _param(self, known: AudioFormat) -> _Param:
        param = _Param()
        param.info.clock_hz, param.info.channels = pjmedia_clock_hz(known), known.channels
        param.info.average_bits = param.info.most_bits = known.bit_rate
        param.info.most_frame_bytes = max(known.bit_rate * _FRAME_MS // 8000, 1)
        param.info.frame_ms, param.info.sample_bits, param.info.format = _FRAME_MS, 16, _LINEAR
        param.info.payload_type = known.payload_type if known.payload_type >= 0 else _FIRST_DYNAMIC
        param.setting.frames_a_packet = _FRAMES
        said = [part.strip() for part in known.fmtp.split(";") if part.strip()][:_MOST_PARAMETERS]
        param.setting.decoder.count = len(said)
        for place, part in zip(param.setting.decoder.parameters, said, strict=False):
            name, equals, value = part.partition("=")
            place.name, place.value = self._text(name if equals else ""), self._text(value if equals else name)
        return param

    # ------------------------------------------------------------------------------------------------ pjmedia calls these
    def _test(self, _factory: int, info: ctypes._Pointer[_Info]) -> int:
        # by name only: pjmedia asks for Opus at the clock of the peer's maxplaybackrate
        return 0 if str(info.contents.name).lower() in self._names else _UNSUPPORTED

    def _defaults(self, _factory: int, info: ctypes._Pointer[_Info], param: ctypes._Pointer[_Param]) -> int:
        name = str(info.contents.name).lower()
        for identity, ready in self._params.items():
            if identity.lower() == f"{name}/{info.contents.clock_hz}/{info.contents.channels}":
                param[0] = ready
                return 0
        return _UNSUPPORTED

    def _list(self, _factory: int, count: ctypes._Pointer[c_uint], room: ctypes._Pointer[_Info]) -> int:
        chosen = list(self._infos.values())[: count[0]]
        count[0] = len(chosen)
        for place, info in enumerate(chosen):
            room[place] = info
        return 0

    def _allocate(self, _factory: int, info: ctypes._Pointer[_Info], codec: ctypes._Pointer[c_void_p]) -> int:
        codec[0] = ctypes.addressof(self._codec)
        return 0


def pjmedia_clock_hz(known: AudioFormat) -> int:
    """pjmedia's clock of a format: that of the samples for G.722, whose RTP clock is half of it (RFC 3551 §4.5.2)."""
    return known.rate_hz if known.payload_type == _G722 else known.clock_hz


def _identity(known: AudioFormat) -> str:
    return f"{known.name}/{pjmedia_clock_hz(known)}/{known.channels}"


def _yes(_first: int, _second: int) -> int:
    return 0


def _no(_first: int, _second: int) -> int:
    return _UNSUPPORTED
