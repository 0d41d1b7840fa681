# SPDX-License-Identifier: GPL-2.0-or-later
"""dsm.conf and the bundle files: typed keys, all other keys for the scripts (spec dsm.md §7.1, §7.2)."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import further_keys, option
from di.sip.session_timer_keys import SessionTimerOptions


def names(text: str) -> tuple[str, ...]:
    """A comma-separated list. SEMS does not trim the names; blanks around them are dropped here."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def folder(text: str) -> str:
    """A folder's name with its `/`; empty stays empty."""
    return text if not text or text.endswith("/") else text + "/"


@dataclass(frozen=True)
class BundleOptions:
    """What a bundle and the main configuration have in common."""

    diag_path: str = option("", help="Folder of the scripts.", parse=folder)
    load_diags: tuple[str, ...] = option(
        (), help="Scripts to load: <diag_path><name>.dsm becomes the diagram <name>.", parse=names
    )
    mod_path: str = option("", help="Folder of further modules, one Python file each.")
    preload_mods: tuple[str, ...] = option((), help="Modules to load at start.", parse=names)
    register_apps: tuple[str, ...] = option((), help="Diagrams that become applications of their name.", parse=names)
    run_invite_event: bool = option(False, help="Accepted and without effect: the invite event always comes.")
    set_param_variables: bool = option(False, help="Make variables of the P-App-Param header's parameters.")
    run_system_dsms: tuple[str, ...] = option((), help="Diagrams to run without a call.", parse=names)
    load_prompts: tuple[str, ...] = option((), help="Files with lines name=path.", parse=names)
    required_prompts: tuple[str, ...] = option((), help="Prompts that must be there, else the start stops.", parse=names)
    prompts_sets_path: str = option("", help="Folder of the prompt sets.", parse=folder)
    load_prompts_sets: tuple[str, ...] = option((), help="Prompt sets to load, files of that folder.", parse=names)
    start_at_session: bool = option(
        False,
        help="Run the scripts as SEMS up to 1.4 did: the diagram starts with sessionStart, when the call is answered (2009 edition).",
    )
    script_values: dict[str, str] = further_keys("*", help="Every other key becomes $config.<key>.")


@dataclass(frozen=True)
class DsmOptions(BundleOptions, SessionTimerOptions):
    """dsm.conf."""

    inbound_start_diag: str = option(
        "", help="Diagram of calls to the application dsm, or $(mon_select); empty: there is no such application."
    )
    outbound_start_diag: str = option("", help="Diagram of calls out for the application dsm.")
    debug_raw_dsm: bool = option(False, help="Log the text of every script that is loaded.")
    dsm_consistency_check: bool = option(True, help="Warn of doubtful diagrams.")
    monitoring_full_stategraph: bool = option(False, help="Keep every state of a call in the attribute dsm_stategraph.")
    monitoring_full_transitions: bool = option(False, help="Keep every transition there too.")
    monitor_select_use_caller: str = option("from", help="How $(mon_select) finds the caller.", choices=("from", "pai", "no"))
    monitor_select_use_callee: str = option(
        "ruri", help="How $(mon_select) finds the callee.", choices=("ruri", "to", "from", "no")
    )
    monitor_select_filters: tuple[str, ...] = option((), help="Further attributes, compared with P-App-Param.", parse=names)
    monitor_select_fallback: str = option("", help="Diagram when $(mon_select) finds nothing.")
    conf_dir: str = option("", help="Folder of the bundles' configuration files.", parse=folder)
    load_folders: tuple[str, ...] = option(
        (),
        help="Further folders that loadDSMWithPath, preloadModule and loadConfig may name; diag_path, mod_path, conf_dir always are.",
        parse=names,
    )
    code_folders: tuple[str, ...] = option(
        (),
        help="Folders whose scripts may import mod_sys and mod_py; none: those of diag_path and of the bundles in conf_dir.",
        parse=names,
    )
    media_root: str = option("", help="When set, scripts may play and record only below this folder.", parse=folder)
