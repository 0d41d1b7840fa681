# SPDX-License-Identifier: GPL-2.0-or-later
"""The calls that there are: by what each is found, what waits until pjsip has come back, and who has not been acknowledged yet.

number ─► the hub's name of it        slot ─► pjsua's        Call-ID and our tag ─► its dialog's

comes in ─► offered once pjsip has come back ─► settled by its ACK ─► released at its end ─► deleted once its slot is free
         └─► refused by pjsip in the same breath: the hub never hears of it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from di.sip.records import CallConfirmed, CallEnded, CallEvent, CallOffered
from interfaces.sip.call import SipCall
from interfaces.sip.structures import Credentials
from interfaces.sip.told import ToldCalls


class LiveCalls:
    """`settled` hears of the source address of a call that came in, once it waits no more for its ACK. `told` is told of their objects."""

    def __init__(self, emit: Callable[[CallEvent], None], settled: Callable[[str], None], told: ToldCalls) -> None:
        self._emit, self._settled, self._told = emit, settled, told
        self._next_number = 1
        self._calls: dict[int, SipCall] = {}
        self._by_slot: dict[int, SipCall] = {}
        self._by_dialog: dict[tuple[str, str], SipCall] = {}
        self._pending: dict[int, str] = {}
        self._fresh: dict[int, CallOffered] = {}
        self._offering: dict[int, SipCall] = {}
        self._released: list[SipCall] = []
        self.credentials: dict[int, Credentials] = {}
        """By slot: pjsip asks for them by that."""

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[SipCall]:
        return iter(list(self._calls.values()))

    def find(self, number: int) -> SipCall | None:
        """By the number that the hub knows it by."""
        return self._calls.get(number)

    def in_dialog(self, call_id: str, local_tag: str) -> SipCall | None:
        """By Call-ID and our tag."""
        return self._by_dialog.get((call_id, local_tag))

    # --------------------------------------------------------------------------------------------------- a call's way
    def take_number(self) -> int:
        """That of the next call in; the hub gives those of calls out, which are even."""
        number, self._next_number = self._next_number, self._next_number + 2
        return number

    def add(self, call: SipCall) -> None:
        """Its object has just been made."""
        self._told.add(call)
        self._calls[call.number] = call

    def took_slot(self, call: SipCall) -> None:
        """pjsua has given it a slot; whatever a call before it left there goes."""
        self._by_slot[call.slot] = call
        self.credentials.pop(call.slot, None)
        if call.credentials is not None:
            self.credentials[call.slot] = call.credentials

    def offer(self, record: CallOffered) -> None:
        """A call that comes in is offered to the hub by the next `work`, unless it is over by then."""
        self._fresh[record.call] = record
        self._pending[record.call] = record.source_ip

    def identified(self, call: SipCall) -> None:
        """Requests inside its dialog can now be told apart."""
        self._by_dialog[call.call_id, call.local_tag] = call

    def emit(self, record: CallEvent) -> None:
        """Send a record of a call to the hub.

        A call that pjsip itself refuses while it takes it in (422, 420) or that is cancelled in the same breath is never offered:
        what is reported about a call before `work` has offered it can only be its end.
        """
        number, kind = record.call, type(record)
        if kind is CallConfirmed or kind is CallEnded:
            self._settle(number)
        if number in self._fresh:
            if kind is CallEnded:
                del self._fresh[number]
            return
        self._emit(record)

    def release(self, call: SipCall) -> bool:
        """Forget a call; its object lives on until `work`. False: it was forgotten before."""
        if self._calls.pop(call.number, None) is None:
            return False
        if self._by_slot.get(call.slot) is call:
            del self._by_slot[call.slot]
        self._by_dialog.pop((call.call_id, call.local_tag), None)
        self._offering.pop(call.number, None)
        self._settle(call.number)
        self._released.append(call)
        return True

    def _settle(self, number: int) -> None:
        source_ip = self._pending.pop(number, None)
        if source_ip is not None:
            self._settled(source_ip)

    # -------------------------------------------------------------------------------------- once pjsip has come back
    @property
    def waits(self) -> bool:
        """Whether there is something for `work` to do again soon."""
        return bool(self._offering or self._released)

    def look_at(self, call: SipCall) -> None:
        """Let it `work` once pjsip is no longer on the stack."""
        self._offering[call.number] = call

    def work(self) -> None:
        """Re-INVITEs that are due go out, new calls are offered, objects of calls that are over are deleted. Not from inside pjsip."""
        for number, call in list(self._offering.items()):
            if not call.work():
                self._offering.pop(number, None)  # its end has taken it out already
        for offer in self._fresh.values():
            self._emit(offer)
        self._fresh.clear()
        if self._released:
            self._sweep()

    def _sweep(self) -> None:
        # deleting a pjsua2 call cuts off whatever call uses its slot now, so one whose slot is taken again has to wait
        kept = [call for call in self._released if call.slot in self._by_slot]
        for call in self._released:
            if call.slot not in self._by_slot:
                self._told.forget(call)
                call.destroy()
        self._released = kept
