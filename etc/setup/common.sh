# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the set-up scripts: where things are, how progress and failure are told. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${VENV:-$root/.venv}
stamps=$venv/.stamps
logs=$root/.setup-logs
python=${PYTHON:-/usr/bin/python3}
export SETUP_BEGAN=${SETUP_BEGAN:-$(date +%s)} # the scripts call each other: one clock for all

say() { printf '[setup %3ds] %s\n' $(($(date +%s) - SETUP_BEGAN)) "$*"; }

# fail MESSAGE...: what went wrong and what to do, one line each, then stop.
fail() {
  printf '\n[setup] %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '        %s\n' "$line" >&2; done
  exit 1
}

# quiet NAME COMMAND...: run with its output in a log; a dot every ten seconds; the log's end is shown when it fails.
quiet() {
  local name=$1 log=$logs/$1.log pid waited=0
  shift
  mkdir -p "$logs"
  "$@" > "$log" 2>&1 < /dev/null &
  pid=$!
  while kill -0 "$pid" 2> /dev/null; do
    sleep 0.2
    waited=$((waited + 1))
    if ((waited % 50 == 0)); then printf '.'; fi
  done
  if ((waited >= 50)); then printf '\n'; fi
  wait "$pid" && return 0
  tail -25 "$log" >&2
  fail "$name failed; the whole log is $log"
}

# fresh STAMP FILE...: true when the step was done with exactly these files.
fresh() {
  local stamp=$stamps/$1
  shift
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$(cat "$@" | sha256sum)" ]
}

# done_with STAMP FILE...: remember it.
done_with() {
  local stamp=$stamps/$1
  shift
  mkdir -p "$stamps"
  cat "$@" | sha256sum > "$stamp"
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}
