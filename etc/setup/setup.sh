#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# setup.sh [test]: everything the server (and with `test`, its tests) needs. Steps that were done with the same files are skipped.
. "$(dirname "$0")/common.sh"
here=$root/etc/setup
what=${1:-run}
locks=("$here/requirements-build.txt" "$here/requirements.txt") # the tests have one more
mapfile -d '' -t media < <(find "$root/media" -name '*.py' -print0 | sort -z)

mapfile -d '' -t shim < <(find "$root/interfaces/sip/shim" \( -name '*.[ch]' -o -name build.py \) -print0 | sort -z)

steps=7 number=0 # Python, SIP stack, its compiled part, iLBC, libsrtp, kernels, prompts, and the packages
if [ -z "${SKIP_PACKAGES:-}" ]; then
  steps=8
  if [ "$what" = test ]; then steps=9; fi
fi

# step STAMP TEXT FILES -- COMMAND...
step() {
  local stamp=$1 text=$2 files=()
  shift 2
  while [ "$1" != -- ]; do files+=("$1"); shift; done
  shift
  number=$((number + 1))
  fresh "$stamp" "${files[@]}" && return 0
  if [ "$owner" != "$root" ]; then
    [ "$stamp" = kernels ] || say "  $text: other than $owner has set up; run make there with these files if that matters"
    return 0 # kernels that differ are compiled when they are first needed
  fi
  say "$number/$steps $text"
  "$@" || return
  done_with "$stamp" "${files[@]}"
}

# A kernel that does not compile stops a server; the linters and tests should still get to say why.
kernels() {
  umask 022 # every user who runs the server reads them
  if [ "$what" = run ]; then quiet kernels "$venv/bin/python" -m media.engine.warm; return; fi
  try kernels "$venv/bin/python" -m media.engine.warm || { say "  they do not compile: see $logs/kernels.log"; return 1; }
}

# Without a speech engine prompts are tones: a server for trying out, and the next set-up tries again. CI must not pass like that.
prompts() {
  umask 022 # whoever runs the server reads them
  try prompts "$venv/bin/cordboard" prompts -f "$root/etc/sems.conf" build && return 0
  tail -3 "$logs/prompts.log" >&2
  if [ -n "${CI:-}" ]; then fail "not all prompts could be spoken; the whole log is $logs/prompts.log" "is espeak-ng installed?"; fi
  return 1
}

mkdir -p "$logs"
exec 9> "$logs/lock" # two set-ups of one checkout take turns
flock -n 9 || { say "another set-up of this checkout is running: waiting for it"; flock 9; }

if [ -z "${SKIP_PACKAGES:-}" ]; then
  step packages-run "system packages" "$here/packages-run.txt" -- "$here/packages.sh" "$here/packages-run.txt"
  if [ "$what" = test ]; then
    step packages-test "system packages of the tests" "$here/packages-test.txt" -- "$here/packages.sh" "$here/packages-test.txt"
  fi
fi
if [ "$what" = test ]; then
  all=("${locks[@]}" "$here/requirements-test.txt")
  step python-test "Python packages, with those of the tests" "${all[@]}" "$here/python.sh" -- "$here/python.sh" "${all[@]}"
  if [ "$owner" = "$root" ]; then done_with python-run "${locks[@]}" "$here/python.sh"; fi
else
  step python-run "Python packages" "${locks[@]}" "$here/python.sh" -- "$here/python.sh" "${locks[@]}"
fi
mapfile -d '' -t spoken < <(find "$root/etc/prompts" -name '*.txt' -print0 | sort -z; find "$root/di/spoken" -name '*.py' -print0 | sort -z)
[ -e "$root/etc/prompts/default.wav" ] || rm -f "$stamps/prompts" # somebody has cleared the folder

# What is made with Python alone keeps one core busy for a minute, as the SIP stack's module does: they are made beside each other.
kernels_and_prompts() {
  number=$((steps - 2)) # its steps are the last two
  step kernels "compiling the media kernels" "${locks[@]}" "${media[@]}" -- kernels || [ "$what" = test ]
  step prompts "speaking the prompts" "$root/etc/prompts.conf" "${spoken[@]}" -- prompts || say "  going on with what prompts there are; the next set-up tries again"
}
beside kernels_and_prompts

step pjsua2 "the SIP stack" "$here/pjsua2.sh" "$here/pjsua2-config_site.h" -- "$here/pjsua2.sh"
step pjsip-shim "the compiled part of the SIP process" "$here/pjsua2.sh" "$here/pjsua2-config_site.h" "$here/pjsip-shim.sh" "${shim[@]}" -- "$here/pjsip-shim.sh"
step ilbc "the iLBC codec" "$here/ilbc.sh" -- "$here/ilbc.sh" || say "  iLBC is left out; the next set-up tries again"
step srtp "libsrtp with OpenSSL" "$here/srtp.sh" -- "$here/srtp.sh" || say "  libsrtp is the system's, which is slower; the next set-up tries again"
joined
