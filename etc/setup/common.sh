# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the set-up scripts: where things are, how progress and failure are told. Sourced, never run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=${VENV:-$root/.venv}
stamps=$venv/.stamps
logs=$root/.setup-logs
python=${PYTHON:-/usr/bin/python3}
# Where .venv is a link, as in a further git worktree, it is another checkout's, which sets it up; here it is used as it is.
owner=$root
if [ -L "$venv" ] && [ -d "$venv" ]; then owner=$(dirname "$(readlink -f "$venv")"); fi
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
running= aside=
interrupted() {
  trap - INT TERM HUP
  if [ -n "$running" ]; then kill -TERM -- "-$running" 2> /dev/null || true; fi
  exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM HUP

# beside COMMAND...: begin it while the script goes on; `joined` waits for it and has its status. When the script ends early, so does it.
beside() {
  set -m
  (
    trap 'interrupted 143' INT TERM HUP # a subshell has none of ours
    running= aside= dots=
    "$@"
  ) 9>&- &
  aside=$!
  set +m
  trap 'kill -TERM "$aside" 2> /dev/null || true' EXIT
}
joined() {
  local status=0
  wait "$aside" || status=$?
  trap - EXIT
  return "$status"
}

dots=. # none from what runs beside other steps
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
    if ((waited % 100 == 0)); then printf '%s' "$dots"; fi
  done
  if ((waited >= 100)) && [ -n "$dots" ]; then printf '\n'; fi
  wait "$running" || status=$?
  running=
  return "$status"
}

# What a stamp is about: the contents of the files, whose the environment is, and which Python it uses.
state() {
  { echo "$owner $(readlink -f "$venv/bin/python" || readlink -f "$python")"; cat "$@"; } | sha256sum
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

# fetch_source DIR SUITE PACKAGE [OPTION...]: the source files of a Debian package into DIR, which others may read, checked against
# Debian's archive key. When it fails: false, and `reason` says why.
fetch_source() {
  local dir=$1 suite=$2 package=$3 keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
  shift 3
  reason="Debian's archive key is missing ($keyring): install debian-archive-keyring"
  [ -e "$keyring" ] || return 1
  # Labels are known once the lists have been fetched; before that the archive's usual path has to do. A DVD holds no sources.
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Created-By: Packages' 2> /dev/null |
    awk '$1 !~ /^cdrom:/ && $1 !~ /security/ && ($2 == "Debian" || $1 ~ /\/debian\/?$/) { print $1; exit }')
  reason="this machine's apt knows no Debian archive"
  [ -n "$mirror" ] || return 1
  mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
  echo "deb-src [signed-by=$keyring] $mirror $suite main" > "$dir/sources.list"
  local options=(-o Dir::Etc::SourceList="$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User=root
    -o Acquire::Check-Valid-Until=false) # a mirror that lags is good enough, the signature is checked all the same
  reason="no way to the archive ($logs/$package-index.log)"
  try "$package-index" apt-get "${options[@]}" update || return 1
  reason="the archive does not give the source of $package ($logs/$package-fetch.log)"
  try "$package-fetch" env -C "$dir" apt-get "${options[@]}" source --download-only "$@" "$package"
}

# tools WHAT COMMAND...: stop when one is missing that WHAT is built with.
tools() {
  local what=$1 need
  shift
  for need in "$@"; do
    command -v "$need" > /dev/null || fail "$need is missing, $what cannot be built" "install the packages build-essential and xz-utils"
  done
}

# source_tree PACKAGE NAME INSTEAD TAR-ARGUMENT...: the source of a Debian package, unpacked as tar is told, into $work/tree of a folder $work
# that goes with the script. Where the variable NAME names a tarball or a tree, it is that; `source` says which it was. Without any: stop;
# INSTEAD says what serves in its place.
source_tree() {
  local package=$1 name=$2 instead=$3 suite
  shift 3
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work" # apt drops privileges while it downloads
  source=${!name:-}
  if [ -n "$source" ]; then [ -e "$source" ] || fail "$name names nothing: $source" "give a tarball or source tree of $package"; fi
  for suite in bookworm trixie forky sid; do
    [ -z "$source" ] || break
    say "  fetching its source from Debian's archive ($suite)"
    fetch_source "$work" "$suite" "$package" --tar-only || continue
    source=$(echo "$work/$package"_*.orig.tar.*)
  done
  [ -n "$source" ] || fail "$reason" "$instead; a local source may be named: make setup $name=/path/to/$package.tar.xz"
  mkdir "$work/tree"
  if [ -d "$source" ]; then cp -a "$source/." "$work/tree"; else
    tar xf "$source" -C "$work/tree" "$@" 2> "$work/tar.log" ||
      fail "$(tail -1 "$work/tar.log")" "$source must be a tarball or source tree of $package"
  fi
}
