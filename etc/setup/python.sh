#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# python.sh LOCKFILE: the private environment with exactly the locked packages, and the cordboard command in it.
. "$(dirname "$0")/common.sh"
lock=$1

[ -x "$python" ] || python=$(command -v python3) || fail "python3 is missing" "install it, or name one: make setup PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$python is older than Python 3.11" "name a newer one: make setup PYTHON=/path/to/python3"
if [ ! -x "$venv/bin/python" ]; then
  say "making the private Python environment $(basename "$venv")"
  quiet venv "$python" -m venv "$venv"
fi
say "installing locked Python packages ($(grep -c '==' "$lock") of them)"
quiet pip-install "$venv/bin/pip" install --disable-pip-version-check --require-hashes -r "$lock"

# The checkout's packages have generic names (di, media …): they are reachable inside this environment only.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$root" > "$site/cordboard-checkout.pth"
cat > "$venv/bin/cordboard" << END
#!$venv/bin/python
import sys

from di.__main__ import main

sys.exit(main())
END
chmod +x "$venv/bin/cordboard"
