# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process: pjsua2 for signalling, nothing else.

    network ⇄ pjsip ⇄ calls/endpoint (pjsua2 objects, one thread) ⇄ server (records of di.sip.records) ⇄ hub

Pure parts: `message` (text of a SIP message → values), `sdp` (text → text), `mapping` (values → records), `subscription` with `notify`
and `digest` (a subscription outside calls), `session_timer`. Everything that decides is in the hub; media is in the media process.
`native` and `exchange` reach the few functions of pjsip that pjsua2 does not show, `layout` says what is read of its structures.
"""
