#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# packages.sh LIST: install the Debian packages named in LIST that are missing. Needs root or sudo only if any is.
. "$(dirname "$0")/common.sh"
list=$1

mapfile -t wanted < <(grep -v '^#' "$list")
present=$(dpkg-query -W -f '${Status} ${Package}\n' "${wanted[@]}" 2> /dev/null | sed -n 's/^install ok installed //p') || true
missing=()
for package in "${wanted[@]}"; do
  grep -qx "$package" <<< "$present" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

command -v apt-get > /dev/null || fail "this is no Debian system: apt-get is missing" \
  "install by hand what corresponds to: ${missing[*]}" "then run again with SKIP_PACKAGES=1"
as_root=()
if [ "$(id -u)" != 0 ]; then
  as_root=(sudo -n)
  if ! sudo -n true 2> /dev/null; then
    say "  system packages are missing: ${missing[*]}"
    # A person at a terminal may type the password; a script may not be held up by the question.
    { [ -t 0 ] && [ -t 1 ] && sudo -v; } || fail "system packages are missing and you are neither root nor able to use sudo" \
      "ask an administrator for: apt-get install ${missing[*]}" "then run the same make command again"
  fi
fi
say "  installing ${#missing[@]} packages: ${missing[*]}"
try apt-update "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=120 update ||
  say "  some package list could not be refreshed ($logs/apt-update.log): going on with what is there"
hint="are the package sources right? try: apt-get update"
quiet apt-install "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
