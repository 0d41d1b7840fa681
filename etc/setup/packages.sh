#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# packages.sh LIST: install the Debian packages named in LIST that are missing. Needs root or password-less sudo only if any is.
. "$(dirname "$0")/common.sh"
list=$1

mapfile -t wanted < <(grep -v '^#' "$list")
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q '^install ok installed' || missing+=("$package")
done
if ((${#missing[@]} == 0)); then exit 0; fi

command -v apt-get > /dev/null || fail "this is no Debian system: apt-get is missing" \
  "install by hand what corresponds to: ${missing[*]}" "then run again with SKIP_PACKAGES=1"
if [ "$(id -u)" != 0 ] && ! sudo -n true 2> /dev/null; then
  fail "system packages are missing and you are neither root nor able to sudo without a password" \
    "ask an administrator for: apt-get install ${missing[*]}" "then run the same make command again"
fi
say "installing system packages: ${missing[*]}"
quiet apt-update as_root apt-get -o DPkg::Lock::Timeout=120 update
quiet apt-install as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "${missing[@]}"
