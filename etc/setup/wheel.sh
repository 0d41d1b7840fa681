#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# wheel.sh [FOLDER]: build the wheel of clients/app into a folder (dist). It is built from a copy, so that nothing is left in the source, and
# with what is installed: nothing is fetched.
. "$(dirname "$0")/common.sh"
out=$(mkdir -p "${1:-$root/dist}" && cd "${1:-$root/dist}" && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
mkdir "$copy/clients"
cp -r "$root/clients/app" "$root/clients/rpc" "$copy/clients/"
find "$copy" -name __pycache__ -prune -exec rm -rf {} +
mv "$copy/clients/app/pyproject.toml" "$copy/"
"$venv/bin/python" -m pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir "$out" "$copy"
