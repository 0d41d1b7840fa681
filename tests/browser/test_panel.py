# SPDX-License-Identifier: GPL-2.0-or-later
"""The panel in a real browser, over a real server with real calls: what it shows is what is, what is clicked happens, and is heard."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from di.access import file as access_file
from tests.support.browser import Callers, chromium, find_chromium
from tests.support.server import PLUGINS, Server, wait_until
from tests.support.sipp import find_sipp
from tests.support.tones import tone, write_wav

pytestmark = [pytest.mark.peers, pytest.mark.timeout(300)]

expect.set_options(timeout=20_000)

ADA_HZ, GRACE_HZ, EVIL_HZ = TONES = [500.0, 900.0, 1300.0]
EVIL = "<img src=x onerror=\"document.title='owned'\"><b>&amp;"
SECRET = "a-secret-of-the-test"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    find_sipp()
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own; whatever the browser complains about fails the test."""
    with browser.new_context(viewport={"width": 1300, "height": 900}) as context:
        opened = context.new_page()
        complaints: list[str] = []
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        opened.set_default_timeout(20_000)
        yield opened
        wanted = [text for text in complaints if "WebSocket connection" not in text and "ERR_CONNECTION" not in text]
        assert not wanted, "the browser complained"


@dataclass
class Desk:
    """A page of a server."""

    page: Page
    server: Server

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.web_port}/"

    def go(self, hash: str = "#/calls") -> Page:
        self.page.goto(self.address + hash)
        return self.page

    def row(self, name: str) -> Locator:
        return self.page.locator("table.calls tbody tr").filter(has=self.page.get_by_role("button", name=name, exact=True))

    def member(self, room: str, name: str) -> Locator:
        return self.page.locator(f'[data-room="{room}"] li').filter(has=self.page.get_by_role("button", name=name, exact=True))


def calls(server: Server, *pair: str) -> list[str]:
    found: list[str] = server.json("monitoring.listByFilter", list(pair))
    return found


def test_an_evening_at_the_panel(page: Page, tmp_path: Path) -> None:
    """One long story, because each start of server and phones costs more than what it shows."""
    with Server(tmp_path, plugins=f"{PLUGINS};callgen") as server, Callers(server.sip_port) as callers:
        desk = Desk(page, server)
        assert f"panel     {desk.address}\n" in server.log, "the banner names it"
        desk.go("#/calls/call/%zz")  # an address that cannot be read is an address of nothing
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        desk.go()
        expect(page.get_by_text("No calls now.")).to_be_visible()

        # calls appear by themselves; a hostile name is text
        ada, grace = callers.call("Ada", "room1", ADA_HZ), callers.call("Grace", "room1", GRACE_HZ)
        evil = callers.call(EVIL, "lobby", EVIL_HZ)
        expect(page.locator("table.calls tbody tr")).to_have_count(3)
        expect(desk.row(EVIL)).to_have_count(1)
        assert page.locator("main img, main b").count() == 0 and page.title() == "Calls – cordboard"
        expect(desk.row(EVIL).locator(".c-state")).to_have_text("lobby/waiting")
        expect(desk.row("Ada").locator(".c-place")).to_contain_text("room1")
        page.get_by_label("Filter").fill("room1")
        expect(page.locator("table.calls tbody tr")).to_have_count(2)
        expect(page.locator(".found").first).to_have_text("2 of 3 calls")
        page.get_by_label("Filter").fill("")

        # who speaks, and who hears whom before anything is done
        wait_until(lambda: callers.hears(ada, TONES) == {GRACE_HZ}, "Ada hears Grace, and nobody else")
        page.goto(desk.address + "#/rooms")
        expect(desk.member("room1", "Ada")).to_contain_text("speaking")

        # an event posted in the page takes the call from the lobby into a room; the diagram's numbers move while it is open elsewhere
        other = page.context.new_page()
        other.goto(desk.address + "#/diagrams")
        badge = {state: other.locator(f'g[data-state="{state}"] .count text') for state in ("waiting", "room")}
        expect(badge["waiting"]).to_have_text("1")
        expect(badge["room"]).to_have_text("0")
        page.goto(desk.address + "#/calls")
        desk.row(EVIL).get_by_role("button").click()
        window = page.get_by_role("dialog")
        expect(window.locator('g[data-state="waiting"]')).to_have_attribute("aria-current", "true")
        window.get_by_role("button", name="take", exact=True).click()
        assert window.get_by_label("value of action").input_value() == "take"
        window.get_by_label("value of roomname").fill("wonderland")
        window.get_by_role("button", name="Post event").click()
        expect(badge["room"]).to_have_text("1")
        expect(badge["waiting"]).to_have_text("0")
        expect(window.locator('g[data-state="room"]')).to_have_attribute("aria-current", "true")
        assert len(calls(server, "position", "wonderland")) == 1
        other.locator('g[data-state="room"]').focus()
        other.keyboard.press("Enter")
        expect(other.get_by_role("heading", name="room: 1 call")).to_be_visible()
        expect(other.locator(".in-state")).to_contain_text(EVIL)
        other.close()
        page.keyboard.press("Escape")
        expect(window).to_have_count(0)

        # moved, muted and heard again
        page.goto(desk.address + "#/rooms")
        desk.member("room1", "Ada").get_by_role("button", name="Move").click()
        page.get_by_label("To the room").fill("wonderland")
        page.get_by_role("dialog").get_by_role("button", name="Move", exact=True).click()
        expect(desk.member("wonderland", "Ada")).to_have_count(1)
        wait_until(lambda: callers.hears(evil, TONES) == {ADA_HZ}, "who was in wonderland hears Ada")
        wait_until(lambda: callers.hears(ada, TONES) == {EVIL_HZ}, "and Ada him")
        wait_until(lambda: callers.hears(grace, TONES) == set(), "Grace, who is alone now, hears nobody")
        desk.member("wonderland", "Ada").get_by_role("button", name="Mute").click()
        expect(desk.member("wonderland", "Ada")).to_contain_text("muted")
        wait_until(lambda: callers.hears(evil, TONES) == set(), "Ada is not heard")
        wait_until(lambda: callers.hears(ada, TONES) == {EVIL_HZ}, "and hears")
        desk.member("wonderland", "Ada").get_by_role("button", name="Unmute").click()
        wait_until(lambda: callers.hears(evil, TONES) == {ADA_HZ}, "Ada is heard again")

        # a room is opened; what the server refuses is told
        page.get_by_role("button", name="Open a room").click()
        page.get_by_label("Name").fill("room7")
        page.get_by_role("button", name="Open", exact=True).click()
        expect(page.locator(".toast", has_text="admin pin is")).to_be_visible()
        expect(page.locator('[data-room="room7"]')).to_contain_text("open, empty")
        page.get_by_role("button", name="Open a room").click()
        page.get_by_label("Name").fill("room7")
        page.get_by_role("button", name="Open", exact=True).click()
        told = page.get_by_role("dialog").locator(".toast.error", has_text="room already opened")
        told.get_by_role("button", name="Dismiss").click()
        page.get_by_role("button", name="Cancel").click()

        # kicked, after being asked
        kick = desk.member("room1", "Grace").locator("button.danger")
        kick.click()
        assert server.json("core.statistics")["calls"] == 3
        expect(kick).to_have_text("Really?")
        kick.click()
        expect(desk.member("room1", "Grace")).to_have_count(0)
        wait_until(lambda: server.json("core.statistics")["calls"] == 2, "Grace's call has ended")

        # hung up from the call's window
        page.goto(desk.address + "#/calls")
        desk.row("Ada").get_by_role("button").click()
        for text in ("Hang up", "Really hang up?"):
            window.get_by_role("button", name=text, exact=True).click()
        expect(window.get_by_text("This call has ended.")).to_be_visible()
        expect(page.locator("table.calls tbody tr")).to_have_count(1)
        page.keyboard.press("Escape")

        # figures
        page.goto(desk.address + "#/status")
        expect(page.locator(".tiles div", has_text="Calls now")).to_contain_text("1")
        expect(page.locator(".processes tbody tr")).to_have_count(len(server.json("status.processes")))
        assert {str(pid) for pid in (server.pid, *server.children().values())} <= set(
            page.locator(".processes td:nth-child(2)").all_text_contents()
        )
        expect(page.locator(".plot canvas")).to_have_count(3)
        generated = page.locator(".tiles div", has_text="Generated calls")
        expect(generated).to_have_count(0)
        server.json("call_gen.setTarget", 2, 0, 0, "echo", f"127.0.0.1:{server.sip_port}", 0, 0, 60, 0, 10)
        expect(generated).to_contain_text("2 of 2")
        server.json("call_gen.stop")
        expect(generated).to_contain_text("0 of 0")

        # the server goes and comes again: said, then shown afresh
        page.goto(desk.address + "#/calls")
        expect(page.locator("#count-calls")).to_have_text("1")
        server.end()
        expect(page.locator("#banner")).to_contain_text("lost")
        server.forget_log()
        server.start()
        expect(page.locator("#banner")).to_be_hidden(timeout=40_000)
        expect(page.locator("#count-calls")).to_have_text("0")
        callers.call("Hedy", "echo")
        expect(desk.row("Hedy")).to_have_count(1)


def test_log_in_and_what_a_role_may(page: Page, tmp_path: Path) -> None:
    hashed = access_file.hash_secret(SECRET)
    secrets = "".join(f"token {role} {role} {hashed}\n" for role in ("reader", "operator"))
    server = Server(tmp_path, {"access.secrets": secrets})
    (server.etc / "access.secrets").chmod(0o600)
    with server, Callers(server.sip_port) as callers:
        desk = Desk(page, server)
        callers.call("Ada", "room1")
        desk.go("#/rooms")
        page.get_by_label("Name, or token").fill("reader.wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong credentials")
        page.get_by_label("Name, or token").fill(f"reader.{SECRET}")
        page.get_by_role("button", name="Log in").click()

        # who may only read sees, and is told why nothing else works
        expect(page.locator("#who")).to_have_text("reader")
        kick = desk.member("room1", "Ada").locator("button.danger")
        expect(kick).to_have_attribute("aria-disabled", "true")
        expect(page.get_by_role("button", name="Open a room")).to_have_attribute("aria-disabled", "true")
        kick.click(force=True)
        expect(page.locator(".toast.error", has_text="reader may not do this: rooms.kick")).to_be_visible()
        page.reload()
        expect(page.locator("#who")).to_have_text("reader")
        assert SECRET not in page.url and SECRET not in server.log

        # another one may act
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Name, or token").fill("operator")
        page.get_by_label("Password").fill(SECRET)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#who")).to_have_text("operator")
        expect(page.get_by_role("button", name="Open a room")).not_to_have_attribute("aria-disabled", "true")
        for _ in range(2):
            desk.member("room1", "Ada").locator("button.danger").click()
        expect(desk.member("room1", "Ada")).to_have_count(0)
        page.goto(desk.address + "#/diagrams")
        expect(page.locator("g[data-state]").first).to_be_visible()


def test_who_pays_and_how_long_is_left(page: Page, tmp_path: Path) -> None:
    """A prepaid call's seconds run down before one's eyes; more can be given, and the phone then stays longer."""
    files = {"call_control.conf": "call_control=balance\nbalance_module=cc_prepaid\nbalance_uuid=$tU\ndirection=in\n"}
    plugins = f"{PLUGINS};cc_prepaid;call_control"
    with Server(tmp_path, files, plugins=plugins) as server, Callers(server.sip_port) as callers:
        desk = Desk(page, server)
        for account, seconds in (("room1", 50), ("room2", 600)):
            server.json("cc_prepaid.setCredit", account, seconds)
        desk.go()
        callers.call("Ada", "room1", ADA_HZ)
        callers.call("Grace", "room2", GRACE_HZ)
        left = desk.row("Ada").locator(".c-left")
        expect(left).to_have_text(re.compile(r"0:[1-4]\d"))
        expect(desk.row("Grace").locator(".c-left")).to_have_text(re.compile(r"0:[45]\d"))  # of the slice that is granted now
        page.get_by_role("button", name="Left", exact=True).click()
        expect(page.locator("table.calls tbody tr").first).to_contain_text("Ada")
        page.get_by_label("Filter").fill("room2")  # what a call is charged to is found, too
        expect(page.locator("table.calls tbody tr")).to_have_count(1)
        page.get_by_label("Filter").fill("")
        desk.row("Ada").get_by_role("button", name="Ada").click()
        window = page.get_by_role("dialog")
        expect(window).to_contain_text("account room1")
        window.get_by_role("button", name="+ 60 s").click()
        expect(window).to_contain_text("of 1:50")
        page.keyboard.press("Escape")
        expect(left).to_have_text(re.compile(r"1:[0-4]\d"))
        listed = {one["account"]: one for one in server.json("control.list")}
        now = listed["room1"]
        assert now["used_s"] + now["left_s"] == pytest.approx(110, abs=0.1), "the server says what the page shows"
        server.json("control.extend", calls(server, "account", "room1")[0], 8 - int(now["left_s"]))
        expect(desk.row("Ada")).to_have_class(re.compile("ending"))
        expect(desk.row("Ada")).to_have_count(0)


def test_recordings_are_made_heard_and_deleted(page: Page, tmp_path: Path) -> None:
    hashed = access_file.hash_secret(SECRET)
    roles = ("reader", "operator", "admin")
    files = {
        "access.secrets": "".join(f"token {role} {role} {hashed}\n" for role in roles),
        "recordings.conf": f"folder={tmp_path / 'kept'}\nmin_free_mb=0\n",
    }
    server = Server(tmp_path, files, plugins=f"{PLUGINS};recordings", start=False)
    (server.etc / "access.secrets").chmod(0o600)
    write_wav(server.etc / "prompts" / "news.wav", tone(EVIL_HZ, 3000))
    with server, Callers(server.sip_port) as callers:
        server.start()
        desk = Desk(page, server)
        ada, grace = callers.call("Ada", "room1", ADA_HZ), callers.call(EVIL, "room1", GRACE_HZ)
        room = page.locator('[data-room="room1"]')

        def log_in(role: str, hash: str) -> None:
            desk.go(hash)
            if page.locator("#who").text_content():
                page.get_by_role("button", name="Log out").click()
            page.get_by_label("Name, or token").fill(f"{role}.{SECRET}")
            page.get_by_role("button", name="Log in").click()
            expect(page.locator("#who")).to_have_text(role)

        # who may only read sees that it is recorded, and hears nothing
        log_in("reader", "#/rooms")
        expect(room.get_by_role("button", name="Record room room1")).to_have_attribute("aria-disabled", "true")

        # an operator records a room, each by himself, and a call
        log_in("operator", "#/rooms")
        room.get_by_role("button", name="Record room room1").click()
        page.get_by_label("Both").check()
        page.get_by_role("button", name="Start recording").click()
        expect(room.locator(".rec")).to_contain_text("●")
        desk.member("room1", "Ada").get_by_role("button", name="Ada", exact=True).click()
        window = page.get_by_role("dialog")
        window.get_by_role("button", name="Record this call").click()
        expect(window.locator(".rec")).to_contain_text("●")
        page.keyboard.press("Escape")
        page.goto(desk.address + "#/calls")
        expect(desk.row("Ada").locator(".c-place")).to_contain_text("●")
        page.goto(desk.address + "#/rooms")
        room.get_by_role("button", name="Play a file to room room1").click()
        page.get_by_label("Everybody hears").select_option("news.wav")
        page.get_by_role("dialog").get_by_role("button", name="Play", exact=True).click()
        expect(page.locator(".toast", has_text="news.wav is played to room1: 0:03")).to_be_visible()
        wait_until(lambda: EVIL_HZ in callers.hears(ada, TONES) and EVIL_HZ in callers.hears(grace, TONES), "both hear it")
        expect(room.locator(".rec")).to_have_text(re.compile(r"● (0:0[2-9]|0:[1-5]\d|[1-9]\d*:\d\d)"))
        room.get_by_role("button", name="Stop recording").click()
        expect(room.get_by_role("button", name="Record room room1")).to_be_visible()
        desk.member("room1", "Ada").get_by_role("button", name="Ada", exact=True).click()
        window.get_by_role("button", name="Stop recording").click()
        expect(window.get_by_role("button", name="Record this call")).to_be_visible()
        page.keyboard.press("Escape")

        # they are listed, with names that stay text, and heard, from any place in them
        page.goto(desk.address + "#/recordings")
        rows = page.locator("table.recordings tbody tr")
        expect(rows).to_have_count(2)
        of_room = rows.filter(has=page.get_by_role("button", name="Room room1", exact=True))
        expect(of_room).to_contain_text("complete")
        of_room.get_by_role("button", name="Room room1", exact=True).click()
        expect(window).to_contain_text(EVIL)
        assert page.locator("main img, main b, dialog img, dialog b").count() == 0
        page.keyboard.press("Escape")
        of_room.get_by_role("button", name="Listen to Room room1").click()
        expect(window.locator("li")).to_have_count(3)
        window.locator("li", has_text="All together").get_by_role("button", name="Load").click()
        player = window.locator("audio")
        length_s = player.evaluate(
            "node => new Promise(done => { if (node.readyState) done(node.duration); node.onloadedmetadata = () => done(node.duration); })"
        )
        name = of_room.get_attribute("data-recording")
        kept = (tmp_path / "kept" / f"{name}.wav").read_bytes()
        assert length_s == pytest.approx((len(kept) - 44) / 16000, abs=0.01)
        assert (
            player.evaluate(
                "node => new Promise(done => { node.onseeked = () => done(node.currentTime); node.currentTime = 1.5; })"
            )
            == 1.5
        )
        heard = player.evaluate(
            "async node => { node.muted = true; await node.play(); node.pause(); return node.error === null; }"
        )
        assert heard is True
        assert player.evaluate("async node => (await (await fetch(node.src)).arrayBuffer()).byteLength") == len(kept)
        address = player.evaluate("node => node.src")
        with urllib.request.urlopen(address) as answer:
            assert answer.read() == kept, "the ticket is enough"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(address.partition("?")[0])
        assert SECRET not in address and "ticket=" not in server.log
        page.keyboard.press("Escape")
        expect(of_room.get_by_role("button", name="Delete")).to_have_attribute("aria-disabled", "true")

        # a player that is open goes with its listener, and nothing of what he saw is left for the next
        of_room.get_by_role("button", name="Listen to Room room1").click()
        page.evaluate("document.getElementById('logout').click()")
        expect(page.get_by_label("Name, or token")).to_be_visible()
        expect(page.locator("dialog, audio, table.recordings")).to_have_count(0)

        # who may only look is not let in to hear; an admin deletes
        log_in("reader", "#/recordings")
        expect(rows).to_have_count(2)
        expect(of_room.get_by_role("button", name="Listen to Room room1")).to_have_attribute("aria-disabled", "true")
        request = urllib.request.Request(address.partition("?")[0], headers={"Authorization": f"Bearer reader.{SECRET}"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)
        log_in("admin", "#/recordings")
        for _ in range(2):
            of_room.locator("button.danger").click()
        expect(rows).to_have_count(1)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(address)


def test_a_phone_shows_every_page_without_scrolling_sideways(browser: Browser, tmp_path: Path) -> None:
    conf = f"folder={tmp_path / 'kept'}\nmin_free_mb=0\n"
    with (
        Server(tmp_path, {"recordings.conf": conf}, plugins=f"{PLUGINS};recordings") as server,
        Callers(server.sip_port) as callers,
        browser.new_context(
            viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True, is_mobile=True
        ) as context,
    ):
        callers.call(
            "Ada with a name that is longer than the screen of a phone is wide", "room-with-a-long-name-of-its-own-1", ADA_HZ
        )
        (room,) = wait_until(lambda: server.json("rooms.list"), "somebody is in the room")
        assert server.json("recordings.startRoom", room)[0] == 200
        page = context.new_page()
        for name, shown in (
            ("calls", "table.calls tbody tr"),
            ("rooms", ".members li"),
            ("recordings", ".recordings tbody tr"),
            ("diagrams", "g[data-state]"),
            ("status", ".plot canvas"),
        ):
            page.goto(f"http://127.0.0.1:{server.web_port}/#/{name}")
            expect(page.locator(shown).first).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        page.goto(f"http://127.0.0.1:{server.web_port}/#/calls")
        page.locator("table.calls tbody tr").first.tap()
        expect(page.get_by_role("dialog")).to_contain_text("All attributes")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_chromium_is_there_where_it_must_be() -> None:
    assert Path(find_chromium()).is_file()
