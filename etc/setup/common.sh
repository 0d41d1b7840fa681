# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the set-up scripts: where things are, how progress and failure are told. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${VENV:-$root/.venv}
stamps=$venv/.stamps
logs=$root/.setup-logs
python=${PYTHON:-/usr/bin/python3}
export SETUP_BEGAN=${SETUP_BEGAN:-$(date +%s)} # the scripts call each other: one clock for all
unset MAKEFLAGS MFLAGS MAKELEVEL               # variables given to our make are not meant for the makefiles of what we build

say() { printf '[setup %3ds] %s\n' $(($(date +%s) - SETUP_BEGAN)) "$*"; }

# fail MESSAGE...: what went wrong and what to do, one line each, then stop.
fail() {
  printf '\n[setup] %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '        %s\n' "$line" >&2; done
  exit 1
}

# What runs in the background has its own process group, so that Ctrl-C ends all of it and leaves no compiler running.
running=
interrupted() {
  trap - INT TERM HUP
  if [ -n "$running" ]; then kill -TERM -- "-$running" 2> /dev/null || true; fi
  exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM HUP

# quiet NAME COMMAND...: run with its output in a log; a dot every ten seconds. When it fails: the log's end, and `hint` if it is set.
quiet() {
  try "$@" && return 0
  tail -25 "$logs/$1.log" >&2
  fail "$1 failed; the whole log is $logs/$1.log" ${hint:+"$hint"}
}

# try NAME COMMAND...: the same, and a failure is the caller's business.
try() {
  local log=$logs/$1.log waited=0 status=0
  shift
  mkdir -p "$logs"
  set -m
  "$@" > "$log" 2>&1 < /dev/null 9>&- &
  running=$!
  set +m
  while kill -0 "$running" 2> /dev/null; do
    sleep 0.1
    waited=$((waited + 1))
    if ((waited % 100 == 0)); then printf '.'; fi
  done
  if ((waited >= 100)); then printf '\n'; fi
  wait "$running" || status=$?
  running=
  return "$status"
}

# What a stamp is about: the contents of the files, where the checkout is, and which Python the environment uses.
state() {
  { echo "$root $(readlink -f "$venv/bin/python" || readlink -f "$python")"; cat "$@"; } | sha256sum
}

# fresh STAMP FILE...: true when the step was done with exactly these files, here.
fresh() {
  local stamp=$stamps/$1
  shift
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$(state "$@")" ]
}

# done_with STAMP FILE...: remember it.
done_with() {
  local stamp=$stamps/$1
  shift
  mkdir -p "$stamps"
  state "$@" > "$stamp"
}
