#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# setup.sh [test]: everything the server (and with `test`, its tests) needs. Steps that were done with the same files are skipped.
. "$(dirname "$0")/common.sh"
here=$root/etc/setup
what=${1:-run}

# step STAMP TEXT FILES -- COMMAND...
step() {
  local stamp=$1 text=$2 files=()
  shift 2
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  fresh "$stamp" "${files[@]}" && return 0
  say "$text"
  "$@"
  done_with "$stamp" "${files[@]}"
}

lock=$here/requirements.txt
if [ -z "${SKIP_PACKAGES:-}" ]; then
  step packages-run "checking system packages" "$here/packages-run.txt" -- "$here/packages.sh" "$here/packages-run.txt"
  if [ "$what" = test ]; then
    step packages-test "checking the tests' system packages" "$here/packages-test.txt" -- "$here/packages.sh" "$here/packages-test.txt"
  fi
fi
if [ "$what" = test ]; then
  step python-test "setting up Python for the tests" "$here/requirements-test.txt" "$here/python.sh" -- "$here/python.sh" "$here/requirements-test.txt"
  done_with python-run "$lock" "$here/python.sh" # the tests' lock holds the server's
else
  step python-run "setting up Python" "$lock" "$here/python.sh" -- "$here/python.sh" "$lock"
fi
step pjsua2 "setting up the SIP stack" "$here/pjsua2.sh" "$here/pjsua2-config_site.h" -- "$here/pjsua2.sh"
step kernels "compiling the media kernels" "$lock" $(find "$root/media" -name '*.py' | sort) -- quiet kernels "$venv/bin/python" -m media.engine.warm
