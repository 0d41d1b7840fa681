# SPDX-License-Identifier: GPL-2.0-or-later
"""Session descriptions (RFC 4566, RFC 3264) as frozen values. Pure: text in, text out.

    text ── model.parse ──► SessionDescription ── edits ──► SessionDescription ── str() ──► text, what was not touched as it came
                                    └──────────── lenient.mended ──► what pjsip takes and understands

- `model`: the description, its streams, and what they say: address, formats, codecs, direction, parameters.
- `edits`: what makes pjsip's description ours: codecs left out, order, direction, address.
- `lenient`, `lines`: what phones write and pjsip refuses, read as it was meant.

Keys for SRTP (`a=crypto`), `a=rtcp-mux` and further streams are attributes and streams like all others: `MediaDescription.values` reads
any attribute, `with_lines` and `without` change it.
"""
