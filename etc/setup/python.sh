#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# python.sh LOCKFILE...: the private environment with exactly the locked packages, and the cordboard command in it.
#   PYTHON  the Python to make it with, 3.11 or newer; /usr/bin/python3 if not given
. "$(dirname "$0")/common.sh"

if [ -n "${PYTHON:-}" ]; then
  python=$(command -v "$PYTHON") || fail "PYTHON names no program: $PYTHON" "give the path of Python 3.11 or newer"
elif [ ! -x "$python" ]; then
  python=$(command -v python3) || fail "python3 is missing" "install it, or name one: make setup PYTHON=/path/to/python3"
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is older than Python 3.11" "name a newer one: make setup PYTHON=/path/to/python3"

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2> /dev/null) || site=
options=()
if [ ! -d "$site" ] || ! "$venv/bin/python" -m pip --version > /dev/null 2>&1; then
  say "  making the private Python environment $(basename "$venv") with $("$python" -V)"
  hint="on Debian the package python3-venv is needed"
  quiet venv "$python" -m venv "$venv"
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
elif [ "$(cat "$site/cordboard-checkout.pth" 2> /dev/null || echo "$root")" != "$root" ]; then
  say "  the checkout was moved: writing the environment's commands anew"
  hint=
  quiet venv "$python" -m venv "$venv"
  options=(--force-reinstall)
fi
hint="is the package index reachable? pip's own settings (pip config, PIP_INDEX_URL, HTTPS_PROXY) are used"
# One file after the other, without build isolation: what comes as source is built with locked tools, which come first.
for lock in "$@"; do
  say "  installing $(grep -c '==' "$lock") locked Python packages ($(basename "$lock"))"
  quiet "pip-$(basename "$lock" .txt)" "$venv/bin/python" -m pip install --disable-pip-version-check "${options[@]}" \
    --use-pep517 --no-build-isolation --require-hashes -r "$lock"
done

# The checkout's packages have generic names (di, media …): they are reachable inside this environment only.
echo "$root" > "$site/cordboard-checkout.pth"
{
  printf '#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-or-later\n'
  printf 'export PYTHONSAFEPATH=1 # nothing is imported from the folder one happens to stand in\n'
  printf "trap '' INT # while the interpreter starts: a Ctrl-C then would leave a traceback; di/__main__.py listens to it again\n"
  printf 'exec %q -m di "$@"\n' "$venv/bin/python"
} > "$venv/bin/cordboard"
chmod +x "$venv/bin/cordboard"

# SEMS's own programs, by their names.
sbc=(list-profiles reload-profiles reload-profile load-profile get-activeprofile set-activeprofile get-regex-map-names set-regex-map
  load-callcontrol-modules teardown-call)
for name in sems-list-calls sems-list-active-calls sems-list-finished-calls sems-get-callproperties "${sbc[@]/#/sems-sbc-}"; do
  case $name in sems-sbc-*) module=clients.cli.sems_sbc ;; *) module=clients.cli.sems ;; esac
  {
    printf '#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-or-later\n'
    printf 'export PYTHONSAFEPATH=1\n'
    printf 'exec %q -m %s %s "$@"\n' "$venv/bin/python" "$module" "$name"
  } > "$venv/bin/$name"
  chmod +x "$venv/bin/$name"
done
