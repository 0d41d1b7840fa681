# SPDX-License-Identifier: GPL-2.0-or-later
"""Every class and method of spec core.md §11 that survey.py leaves out: a text to the call names what is tried. tests/peers/test_ivr_names.py."""

import ivr
import log as logging
from ivr import *  # noqa: F403

STARTED = []
createThread(lambda: STARTED.append("thread"))  # noqa: F405
setIgnoreSigchld(1)  # noqa: F405


class IvrDialog(ivr.IvrDialogBase):
    def note(self, text):
        ivr.monitorLogAdd(self.dialog.local_tag, "heard", str(text))
        ivr.monitorLog(self.dialog.local_tag, "last", str(text))

    def onInvite(self, hdrs):
        self.headers = hdrs
        if ivr.getHeader(hdrs, "X-Drop"):
            self.dropSession()
        return True

    def onSessionStart(self):
        self.note("up")
        if self.dialog.user == "allivr-out":
            self.note("params " + str(self.getSessionParams()) + " " + self.dialog.local_tag)

    def onIvrMessage(self, text):
        word, _, rest = text.partition(" ")
        getattr(self, "do_" + word)(rest)

    def onDtmf(self, key, duration):
        self.note(f"key{key}")

    def onEmptyQueue(self):
        self.note("empty")

    def onOtherReply(self, code, reason):
        self.note(f"other{code}")

    def onOtherBye(self):
        self.note("otherbye")
        return False

    def onSipReply(self, request, reply):
        self.note(
            f"{request.method} {reply.code} {reply.reason} {ivr.getHeader(reply.hdrs, 'X-Said')} {reply.from_tag == self.dialog.local_tag}"
        )

    def onTimer(self, id):
        self.note(f"timer{id}")

    def onBye(self):
        ivr.log(2, "they said bye")
        ivr.monitorFinish(self.dialog.local_tag)

    def onUser1(self):
        self.note("user1")

    def onUser2(self):
        self.note("user2")

    def onServerShutdown(self):
        logging.info("told of the shutdown")
        self.bye("X-Why: shutdown\r\n")

    def onRtpTimeout(self):
        self.note("silent")

    # what is tried
    def do_facts(self, rest):
        d, r = self.dialog, self.invite_req
        self.note("|".join(map(str, (
            d.user, d.domain, "sip:" in d.local_uri, "sip:" in d.remote_uri, d.callid == r.callid, d.remote_tag == r.from_tag, bool(d.local_party),
            bool(d.remote_party), d.route, d.outbound_proxy, d.cseq, d.status, d.status_str,
        ))))  # fmt: skip
        d.remote_uri = "sip:changed@x"
        r.hdrs = r.hdrs + "X-Own: 1\r\n"
        self.note("|".join(map(str, (
            r.method, r.user, r.domain, r.r_uri.startswith("sip:"), bool(r.from_uri), bool(getattr(r, "from")), bool(r.to), bool(r.to_tag), r.route,
            r.cseq, r.body, ivr.getHeaders(r.hdrs, "X-Two"), ivr.getHeader(r.hdrs, "X-Own"), d.remote_uri,
        ))))  # fmt: skip
        self.note(
            f"{ivr.AUDIO_READ} {ivr.AUDIO_WRITE} {ivr.LOCAL_SIP_IP} {ivr.LOCAL_SIP_PORT > 1024} {ivr.SEMS_LOG_LEVEL} {STARTED}"
        )
        for level, name in enumerate(("error", "warn", "info", "debug")):
            getattr(logging, name)("said by " + name)
            ivr.log(level, f"level {level}")
        self.note("logged")

    def do_files(self, rest):
        found = []
        for name, mode, tmp in (("/nothing.wav", ivr.AUDIO_READ, False), ("one.wav", 7, False), ("one.wav", ivr.AUDIO_READ, 1)):
            try:
                ivr.IvrAudioFile().open(name, mode, tmp)
            except (OSError, TypeError) as error:
                found.append(type(error).__name__)
        file = ivr.IvrAudioFile()
        file.open(rest, ivr.AUDIO_READ)
        file.rewind()
        file.rewind(10)
        found.append(str(file.getDataSize()))
        self.note(" ".join(found))
        self.note(f"queue {self.queueIsEmpty()}")
        self.enqueue(file, None)
        self.note(f"queue {self.queueIsEmpty()}")
        file.close()

    def do_loop(self, rest):
        file = ivr.IvrAudioFile()
        file.open("one.wav", ivr.AUDIO_READ)
        file.loop = True
        self.enqueue(file, None)

    def do_flush(self, rest):
        self.flush()

    def do_tts(self, rest):
        self.enqueue(ivr.IvrAudioFile.tts(rest), None)

    def do_null(self, rest):
        silence = ivr.IvrNullAudio()
        silence.init(5000, 0)
        silence.setReadLength(100)
        silence.setWriteLength(100)
        self.enqueue(silence, None)

    def do_mixin(self, rest):
        music, over = ivr.IvrAudioFile(), ivr.IvrAudioFile()
        music.open("one.wav", ivr.AUDIO_READ)
        music.loop = True
        over.open("two.wav", ivr.AUDIO_READ)
        both = ivr.IvrAudioMixIn()
        both.init(music, over, 1, 0.5, False, False, True)
        self.enqueue(both, None)

    def do_record(self, rest):
        file = ivr.IvrAudioFile()
        file.open("all.wav", ivr.AUDIO_WRITE)
        file.setRecordTime(400)
        self.enqueue(None, file)

    def do_call(self, name):
        getattr(self, name)()
        self.note("did " + name)

    def do_refer(self, rest):
        self.refer("sip:bob@example.org", 20, "<sip:me@example.org>", "X-More: 1\r\n")

    def do_redirect(self, rest):
        self.redirect("sip:carol@example.org")

    def do_send(self, rest):
        self.sendRequest("INFO", "X-A: 1\r\n")

    def do_callee(self, rest):
        self.connectCallee("<sip:bob@x>", rest, "<sip:boss@example.org>", "sip:boss@example.org")

    def do_same(self, rest):
        self.connectCallee(None)

    def do_timers(self, rest):
        self.setTimer(1, 60)
        self.removeTimer(1)
        self.setTimer(2, 0)

    def do_dialout(self, rest):
        ivr.IvrUAC().dialout(
            "allivr-out",
            "allivr",
            rest,
            "<sip:me@x>",
            "sip:me@127.0.0.1",
            f"<{rest}>",
            "chosen-tag-1",
            "X-Hi: 1\r\n",
            {"a": "b", "n": 5},
        )

    def do_bye(self, rest):
        self.bye("X-Why: told\r\n")

    def do_raise(self, rest):
        raise ZeroDivisionError("printed")
