# SPDX-License-Identifier: GPL-2.0-or-later
"""A script as SEMS's module ivr takes it: `from ivr import *`, a class IvrDialog, keys as numbers, files by objects."""

from ivr import *  # noqa: F403
from log import info

GREETING = config["greeting"]  # noqa: F405 - ivr.config, during the import
heard = []


class IvrDialog(IvrDialogBase):  # noqa: F405
    """`1` plays, `2` records, `3` connects, `4` silence, `5` mixes in, `6` a request, `7` a message to itself, `8` timers, `9` ends."""

    def note(self, text):
        heard.append(text)
        monitorLog(self.dialog.local_tag, "heard", " ".join(heard[-40:]))  # noqa: F405

    def onInvite(self, hdrs):
        del heard[:]
        if getHeader(hdrs, "X-Refuse"):  # noqa: F405
            raise semserror({"code": 488, "reason": "Not Today"})  # noqa: F405
        self.note("invite:" + getHeader(hdrs, "X-Callee") + ":" + str(self.getAppParam("uid")) + ":" + self.dialog.user)  # noqa: F405
        return True

    def onSessionStart(self):
        info("session started")
        self.note("session")
        file = IvrAudioFile()  # noqa: F405
        file.open(config["greeting"], AUDIO_READ)  # noqa: F405
        self.enqueue(file, None)

    def onEmptyQueue(self):
        self.note("empty")

    def onDtmf(self, key, duration):
        self.note(f"key{key}")
        getattr(self, f"key{key}", lambda: None)()

    def key1(self):
        file = IvrAudioFile()  # noqa: F405
        file.open("wrong_pin.wav", AUDIO_READ)  # noqa: F405
        self.enqueue(file, None)

    def key2(self):
        self.recording = IvrAudioFile()  # noqa: F405
        self.recording.open("survey.wav", AUDIO_WRITE)  # noqa: F405
        self.recording.setRecordTime(600)
        self.enqueue(None, self.recording)

    def key3(self):
        self.connectCallee("sip:bob@127.0.0.1:" + getHeader(self.invite_req.hdrs, "X-Callee"), "")  # noqa: F405

    def key4(self):
        silence = IvrNullAudio()  # noqa: F405
        silence.init(300, 0)
        self.enqueue(silence, None)

    def key5(self):
        music, over = IvrAudioFile(), IvrAudioFile()  # noqa: F405
        music.open("music.wav", AUDIO_READ)  # noqa: F405
        music.loop = True
        over.open("enter_number.wav", AUDIO_READ)  # noqa: F405
        both = IvrAudioMixIn()  # noqa: F405
        both.init(music, over, 1, 0.5)
        self.enqueue(both, None)

    def key6(self):
        self.sendRequest("OPTIONS", "X-Asked: yes\r\n")

    def key7(self):
        sendMessage(self.dialog.local_tag, "hello")  # noqa: F405

    def key8(self):
        self.setTimer(1, 0)
        self.setTimer(2, 60)
        self.removeTimers()
        self.setTimer(3, 0)
        try:
            self.setTimer(0, 1)
        except ValueError:
            self.note("notimer0")

    def key9(self):
        self.stopSession()

    def key10(self):
        self.flush()
        self.note("flushed")

    def onTimer(self, id):
        self.note(f"timer{id}")

    def onIvrMessage(self, text):
        self.note("message-" + text)

    def onSipReply(self, request, reply):
        self.note(f"reply-{request.method}-{reply.code}")

    def onSipRequest(self, request):
        if request.method == "MESSAGE":
            self.note("MESSAGE-" + request.body)
            self.sendReply(202, "Accepted", "X-Yes: 1\r\n")

    def onOtherReply(self, code, reason):
        self.note(f"other{code}")

    def onOtherBye(self):
        self.note("otherbye")
        raise RuntimeError("printed, and counts as handled")
