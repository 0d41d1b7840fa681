# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole configuration read from files: plug-ins, order, mapping, interfaces, codecs; the sample configuration is good."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import di.apps.echo
from di.access import file as access_file
from di.dsm.load.bundles import DiskFiles
from di.kernel.errors import ConfigError
from di.kernel.server_options import parse_addresses
from di.media_control.codecs import NAMES
from di.server import plugin, settings
from di.server.settings import Settings
from media.files.precoded import read_precoded

ROOT = Path(__file__).resolve().parents[4]


def read(folder: Path, text: str, files: dict[str, str] | None = None, **environ: str) -> Settings:
    (folder / "sems.conf").write_text(text)
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return settings.read(folder / "sems.conf", environ)


def wrong(folder: Path, text: str, files: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, files)
    return str(caught.value)


def names(found: Settings) -> list[str]:
    return [loaded.plugin.name for loaded in found.plugins]


def test_the_sample_configuration_is_good_and_silent(caplog: pytest.LogCaptureFixture) -> None:
    found = settings.read(ROOT / "etc" / "sems.conf", {})
    assert caplog.text == ""
    assert {"monitoring", "announcement", "webconference", "xmlrpc2di", "web"} <= set(names(found))
    for user, application in (("announce", "announcement"), ("room1", "webconference"), ("echo", "echo"), ("x", "lobby")):
        assert found.selection.choose(f"sip:{user}@127.0.0.1", ()) == application


def test_order_suffixes_and_names_that_need_no_plug_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = read(tmp_path, "load_plugins=sipctrl;wav;echo.so;uac_auth;monitoring;echo;session_timer;gsm;opus\n")
    assert names(found) == ["echo", "uac_auth", "monitoring"]
    assert "echo is named twice" in caplog.text


def test_empty_list_loads_what_can_be_loaded(tmp_path: Path) -> None:
    found = names(read(tmp_path, "exclude_plugins=dsm;echo.so\n"))
    assert "monitoring" in found
    assert "echo" not in found
    assert "webconference" not in found  # it needs its file


def test_all_wrong_plug_ins_are_named_at_once_with_hints_of_what_there_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = wrong(tmp_path, "load_plugins=py_sems;echo;annoucement;rtmp;speex;isac;diameter_client;mp4;call;gateway\n")
    for part in (
        "SEMS's plug-in py_sems is not in cordboard: take the name out", "plug-in rtmp is not", "plug-in diameter_client is not",
        "plug-in gateway is not", "there is no plug-in 'annoucement'; did you mean announcement?",
        "there is no plug-in 'mp4'; known: ann", "there is no plug-in 'call';",
    ):  # fmt: skip
        assert part in said
    assert "did you mean mp3" not in said and "speech" not in said
    assert "the codec of SEMS's isac is not here" in caplog.text


def test_hints_name_only_what_can_be_loaded() -> None:
    packages = plugin.available()
    for name in packages:
        assert plugin.find([name], "x", 1)[0].name == {"call_gen": "callgen"}.get(name, name), "one plug-in has two names"
    assert not plugin.NOT_HERE & set(packages)


def test_unknown_plug_in(tmp_path: Path) -> None:
    assert "sems.conf:1: load_plugins: there is no plug-in 'webconferenc'; did you mean webconference?" in wrong(
        tmp_path, "load_plugins=webconferenc\n"
    )


def test_module_file_is_required_or_not(tmp_path: Path) -> None:
    assert "announcement.conf: does not exist" in wrong(tmp_path, "load_plugins=announcement\n")
    assert names(read(tmp_path, "load_plugins=echo\n")) == ["echo"]


def test_plugin_config_path(tmp_path: Path) -> None:
    found = read(tmp_path, "plugin_config_path=mods\nload_plugins=echo\n", {"mods/echo.conf": "enable_session_timer=yes\n"})
    assert found.conf_dir == tmp_path / "mods"
    assert "plugin_config_path: there is no folder" in wrong(tmp_path, "plugin_config_path=nowhere\n")


@pytest.mark.parametrize("value", ["etc/", "", "./"])
def test_where_one_stands_does_not_matter(tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another `etc/` in the current folder is another server's."""
    for folder, application in (("here/etc", "wrong"), ("server/etc", "right")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "app_mapping.conf").write_text(f".=>{application}\n")
        (tmp_path / folder / "more.conf").write_text(f"signature={application}\n")
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "server/etc/sems.conf"
    file.write_text(f"plugin_config_path={value}\n@more.conf\napplication=$(mapping)\nload_plugins=echo\n")
    for name in (file, Path("../server/etc/sems.conf")):
        found = settings.read(name, {})
        assert (found.selection.choose("sip:x@y", ()), found.core.signature) == ("right", "right")
    monkeypatch.chdir(tmp_path / "server")
    assert settings.read(Path("etc/sems.conf"), {}).selection.choose("sip:x@y", ()) == "right"


def test_another_folders_files_are_not_read_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "here/etc").mkdir(parents=True)
    (tmp_path / "far/away").mkdir(parents=True)
    file = tmp_path / "far/away/sems.conf"
    file.write_text("plugin_config_path=etc/\nload_plugins=echo\n")
    monkeypatch.chdir(tmp_path / "here")
    settings.read(file, {})
    (told,) = caplog.records
    assert told.levelname == "WARNING"
    assert f"sems.conf:1: plugin_config_path: modules are read from {tmp_path}/here/etc, there is no" in told.getMessage()


def test_the_presentations_sems_conf(tmp_path: Path) -> None:
    """As on its slide: the list of plug-ins goes on in the next line, and the mapping by its other name."""
    text = "load_plugins=sipctrl;announcement;wav;gsm;ilbc;l16;adpcm;speex;\\\n  webconference;xmlrpc2di;uac_auth;session_timer\n"
    files = dict.fromkeys(("announcement.conf", "webconference.conf", "xmlrpc2di.conf"), "")
    files["app_mapping.conf"] = "^sip:.*@announcements.*=>announcement\n^sip:.*@conference.*=>webconference\n"
    found = read(tmp_path, text + "application=$(app_mapping)\n", files)
    assert names(found) == ["announcement", "webconference", "xmlrpc2di", "uac_auth"]
    assert found.selection.choose("sip:7@conference.mysip.net", ()) == "webconference"


def test_error_in_a_module_file_names_that_file(tmp_path: Path) -> None:
    files = {"webconference.conf": "room_pin_split=few\n"}
    assert "webconference.conf:1: room_pin_split: 'few' is not a whole number" in wrong(
        tmp_path, "load_plugins=webconference\n", files
    )
    files = {"webconference.conf": 'direct_room_re="("\n'}
    assert "webconference.conf:1: direct_room_re:" in wrong(tmp_path, "load_plugins=webconference\n", files)
    files = {"webconference.conf": "predefined_rooms=abc\n"}
    assert "webconference.conf:1: predefined_rooms:" in wrong(tmp_path, "load_plugins=webconference\n", files)


def test_mapping_file_is_needed_for_mapping_only(tmp_path: Path) -> None:
    assert "app_mapping.conf: cannot be read" in wrong(tmp_path, "application=$(mapping)\n")
    assert read(tmp_path, "application=announcement\n").selection.choose("sip:x@y", ()) == "announcement"


def test_sems_interfaces(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "interfaces=in,out\nsip_ip_in=127.0.0.2\nsip_port_in=5070\nmedia_ip_in=127.0.0.3\nrtp_low_port_in=30000\nsip_ip_out=192.0.2.1\n"
    core = read(tmp_path, text + "rtp_high_port=31000\nsig_sock_opts_in=force_via_address\n").core
    assert (core.sip_ip, core.sip_port, core.media_ip, core.rtp_low_port) == ("127.0.0.2", 5070, "127.0.0.3", 30000)
    assert core.further_sip == (("192.0.2.1", 5060, ""),) and core.further_media_ip == "" and not caplog.text
    assert "interface b has neither" in wrong(tmp_path, "interfaces=a,b\nsip_ip_a=127.0.0.1\n")
    assert "the list is empty" in wrong(tmp_path, "interfaces=,\n")


def test_further_interfaces(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "interfaces=a,b,c,d\nsip_ip_a=127.0.0.1\nsip_ip_b=lo\nsip_port_b=5080\npublic_ip_b=203.0.113.7\nsip_ip_c=[::1]\nsip_port_c=0\n"
        "media_ip_c=::1\nmedia_ip_d=127.0.0.9\nrtp_low_port_d=2000\nsig_sock_opts_c=x\n"
    )
    core = read(tmp_path, text).core
    assert core.further_sip == (("127.0.0.1", 5080, "203.0.113.7"), ("::1", 5060, ""))
    assert (core.media_ip, core.rtp_low_port) == ("127.0.0.1", 10000) and not caplog.text
    assert [(one.name, one.sip_ip, one.sip_port, one.public_ip, str(one.rtp)) for one in core.interfaces] == [
        ("a", "127.0.0.1", 5060, "", "127.0.0.1:10000-19999"),
        ("b", "127.0.0.1", 5080, "203.0.113.7", "127.0.0.1:10000-19999"),
        ("c", "::1", 5060, "", "[::1]:10000-19999"),
        ("d", "", 0, "", "127.0.0.9:2000-19999"),
    ]
    assert "further_sip" in wrong(tmp_path, "interfaces=a,b\nsip_ip_a=127.0.0.1\nsip_ip_b=nodevice7\n")
    assert "further_sip" in wrong(tmp_path, "further_sip=127.0.0.1:99999\n")
    assert "same family" in wrong(tmp_path, "sip_ip=127.0.0.1\nfurther_media_ip=127.0.0.2\n")


def test_srtp(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "interfaces=a,b\nsip_ip_a=127.0.0.1\nsrtp_a=mandatory\nsip_ip_b=lo\nsrtp_b=off\nsrtp_suites=aes_cm_128_hmac_sha1_80\n"
    core = read(tmp_path, text).core
    assert core.srtp_interfaces == (("127.0.0.1", "mandatory"), ("127.0.0.1", "off")) and core.srtp == "off"
    assert core.srtp_suites == ("AES_CM_128_HMAC_SHA1_80",)
    assert "srtp_interfaces: there is no tls_port" in caplog.text and "in the clear" not in caplog.text
    read(tmp_path, "srtp_dialled=optional\nsrtp_without_tls=yes\n")
    assert "keys of SRTP go in the clear" in caplog.text
    assert "srtp_interfaces" in wrong(tmp_path, "interfaces=a\nsip_ip_a=127.0.0.1\nsrtp_a=sometimes\n")
    assert "is none of: off, optional, mandatory" in wrong(tmp_path, "srtp=yes\n")
    assert "right are one or more of AEAD_AES_128_GCM" in wrong(tmp_path, "srtp_suites=AES_256\n")
    monkeypatch.setattr(settings.srtp_library, "load", lambda: None)
    assert "srtp: SRTP needs libsrtp2.so.1: install the package libsrtp2-1" in wrong(tmp_path, "srtp=optional\n").replace("'", "")
    assert read(tmp_path, "").core.srtp == "off"


def test_interfaces_beside_the_keys_without_a_name(tmp_path: Path) -> None:
    """`additional_interfaces` of older files; an interface without SIP may be named first; further_sip has no audio of its own."""
    text = "sip_ip=127.0.0.1\nrtp_low_port=11000\nadditional_interfaces=out\nsip_ip_out=127.0.0.2\nrtp_high_port_out=12000\noutbound_interface=out\n"
    core = read(tmp_path, text).core
    assert [(one.name, one.sip_ip, str(one.rtp)) for one in core.interfaces] == [
        ("default", "127.0.0.1", "127.0.0.1:11000-19999"),
        ("out", "127.0.0.2", "127.0.0.2:10000-12000"),
    ]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("192.0.2.1", (("192.0.2.1", 5060, ""),)), ("[2001:db8::1]:5070/2001:db8::2", (("2001:db8::1", 5070, "2001:db8::2"),)),
        ("eth1:0, 10.0.0.1:1/h", (("eth1", 5060, ""), ("10.0.0.1", 1, "h"))),
    ],
)  # fmt: skip
def test_places(text: str, places: tuple[tuple[str, int, str], ...]) -> None:
    assert parse_addresses(text) == places


@pytest.mark.parametrize("text", ["", "a b", "::1", "h:x", "h:70000", "[::1", "h:1/", ","])
def test_places_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="right is ip"):
        parse_addresses(text)


def test_addresses(tmp_path: Path) -> None:
    core = read(tmp_path, "sip_ip=lo\nsip_port=0\n").core
    assert (core.sip_ip, core.media_ip, core.sip_port) == ("127.0.0.1", "127.0.0.1", 5060)
    assert read(tmp_path, 'sip_ip="[::1]"\n').core.sip_ip == "::1"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("rtp_low_port=2000\nrtp_high_port=2000\n", "sems.conf:2: rtp_high_port"),
        ("tls_port=5061\n", "sems.conf:1: tls_port: TLS needs tls_certificate and tls_key"),
        ("tls_client_certificate=require\n", "sems.conf:1: tls_client_certificate: needs tls_ca_file too"),
        ("tls_verify_server=yes\n", "sems.conf:1: tls_verify_server: needs tls_ca_file too"),
        ("tls_client_certificate=maybe\n", "sems.conf:1: tls_client_certificate: 'maybe' is none of: off, ask, require"),
        ("sip_acl_allow=10.0.0.0/33\n", "sems.conf:1: sip_acl_allow"),
        ("outbound_proxy=proxy\n", "sems.conf:1: outbound_proxy: 'proxy' is no SIP URI"),
        ("outbound_interface=out\n", "sems.conf:1: outbound_interface: no interface 'out' has SIP; there are default"),
        ("interfaces=a\nsip_ip_a=127.0.0.1\nrtp_low_port_a=x\n", "sems.conf:3: rtp_low_port: 'x' is not a whole number"),
        (
            "interfaces=a,b\nsip_ip_a=127.0.0.1\nsip_ip_b=127.0.0.2\nrtp_low_port_b=0\n",
            "sems.conf:4: rtp_low_port_b: '0' is not a whole",
        ),
        ("interfaces=a,b\nsip_ip_a=127.0.0.1\nmedia_ip_b=nodevice7\n", "sems.conf:3: media_ip_b: 'nodevice7' is neither"),
        ("codec_order=PCMU,MP5\n", "sems.conf:1: codec_order: 'MP5' is no codec"),
        (f"exclude_payloads={';'.join(NAMES)}\n", "exclude_payloads: no codec is left"),
        ("100rel=maybe\n", "sems.conf:1: 100rel: 'maybe' is none of: disabled, off, supported, require"),
        ("stderr=1\n", "sems.conf:1: stderr: '1' cannot be used: right is yes or no"),
    ],
)
def test_values_that_do_not_fit(tmp_path: Path, text: str, wanted: str) -> None:
    assert wanted in wrong(tmp_path, text)


def test_codec_order(tmp_path: Path) -> None:
    core = read(tmp_path, "codec_order=CODEC2_1400,pcma,speex/16000\nexclude_payloads=PCMU;AMR\n").core
    assert (core.codec_order, core.exclude_payloads) == (("CODEC2_1400", "pcma", "speex/16000"), ("PCMU", "AMR"))


def test_environment(tmp_path: Path) -> None:
    found = read(tmp_path, "sip_port=5060\nload_plugins=webconference\n", {"webconference.conf": ""}, CORDBOARD_SIP_PORT="5070",
                 CORDBOARD_WEBCONFERENCE_IGNORE_PIN="yes")  # fmt: skip
    assert found.core.sip_port == 5070
    assert found.plugins[0].options.ignore_pin is True


def test_a_byte_order_mark_is_read_over_in_every_file(tmp_path: Path) -> None:
    """Windows editors put one before the text; it is no part of the first key, expression or word."""
    mark = "\ufeff"
    files = {
        "app_mapping.conf": mark + "^sip:a=>echo\n", "echo.conf": mark + "enable_session_timer=yes\n", "more.conf": mark + "sip_port=5070\n",
    }  # fmt: skip
    found = read(tmp_path, mark + "application=$(mapping)\nload_plugins=echo\n@more.conf\n", files)
    assert (found.selection.choose("sip:a@b", ()), found.core.sip_port, found.core.application) == ("echo", 5070, "$(mapping)")
    access = tmp_path / "access.secrets"
    access.write_text(mark + "role watcher monitoring.get\n")
    access.chmod(0o600)
    assert "watcher" in access_file.read(access).roles
    script = tmp_path / "a.dsm"
    script.write_text(mark + "initial state A;")
    assert DiskFiles().read(str(script)) == "initial state A;"
    definition = tmp_path / "a.predef"
    definition.write_text(mark + "0;PCMU;8000;1;;20;160;a.pcmu\n")
    (tmp_path / "a.pcmu").write_bytes(bytes(160))
    assert read_precoded(str(definition), "PCMU", 8000).frame_bytes == 160


def test_utf_16_is_named(tmp_path: Path) -> None:
    (tmp_path / "echo.conf").write_text("enable_session_timer=yes\n", encoding="utf-16")
    assert "echo.conf: cannot be read (UTF-16; save or send it as UTF-8)" in wrong(tmp_path, "load_plugins=echo\n")


def test_what_a_plugin_brings_stands_before_it_and_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(di.apps.echo, "PLUGIN", dataclasses.replace(di.apps.echo.PLUGIN, brings=("mail",)))
    assert names(read(tmp_path, "load_plugins=monitoring;echo\n")) == ["monitoring", "mail", "echo"]
    assert names(read(tmp_path, "load_plugins=echo;mail\n")) == ["mail", "echo"]
    monkeypatch.undo()
    assert "mail.conf: does not exist; mail in load_plugins needs it" in wrong(tmp_path, "load_plugins=mail\n")
    assert "mail" not in names(read(tmp_path, ""))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("dialout_caller_shop=5", "dialout_caller_shop: '5' cannot be used: right is \"calls at once;calls a minute;expressions"),
        ("dialout_caller_shop=1;2;(", "is no POSIX extended expression"),
        ("dialout_each_caller=many", "dialout_each_caller: 'many' cannot be used: right is"),
        ("dialout_deny=^900(", "dialout_deny: '^900(' cannot be used"),
        ("next_hop=a.example/ws", "next_hop: 'a.example/ws': right is host[:port][/transport]"),
        ("dns_servers=ns.example", "dns_servers: 'ns.example' cannot be used: 'ns.example': right is ip or ip:port"),
        ("sip_timer_M=5", "sip_timer_M: 5 is not a whole number from 100 to 32000"),
        ("redirects=11", "redirects: 11 is not a whole number from 0 to 10"),
    ],
)
def test_what_of_dialling_out_cannot_be_used(tmp_path: Path, line: str, said: str) -> None:
    assert said in wrong(tmp_path, line + "\n")
