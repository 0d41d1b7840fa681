#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pjsip-shim.sh: compiles interfaces/sip/shim against the headers of the pjproject that pjsua2.sh has found or built.
. "$(dirname "$0")/common.sh"
flags=$venv/include/pjproject/cflags
[ -e "$flags" ] || fail "the SIP stack's headers are missing ($flags)" "remove $stamps/pjsua2 and run the same make command again"
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
export CFLAGS="-O2 $(cat "$flags")"
quiet pjsip-shim "$venv/bin/python" "$root/interfaces/sip/shim/build.py" "$site"
quiet pjsip-shim-import "$venv/bin/python" -c 'import pjsua2, _cordboard_pjsip'
