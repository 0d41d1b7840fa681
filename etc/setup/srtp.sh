#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# srtp.sh: libsrtp (BSD licence) with OpenSSL's ciphers, in the private environment, for media/rtp/srtp.py. Debian's own is built with NSS, which makes
# a cipher anew for each packet of AES_CM: nine times the CPU (docs/performance.md). Without it Debian's serves.
#   SRTP_SOURCE  a local tarball or source tree of libsrtp 2, for machines that cannot reach a Debian archive
. "$(dirname "$0")/common.sh"
suites=(bookworm trixie forky sid)
library=$venv/lib/libcordboard-srtp.so

for need in gcc make tar xz; do
  command -v "$need" > /dev/null || fail "$need is missing, libsrtp cannot be built" "install the packages build-essential and xz-utils"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt drops privileges while it downloads

source=${SRTP_SOURCE:-}
if [ -n "$source" ]; then [ -e "$source" ] || fail "SRTP_SOURCE names nothing: $source" "give a tarball or source tree of libsrtp 2"; fi
for suite in "${suites[@]}"; do
  [ -z "$source" ] || break
  say "  fetching its source from Debian's archive ($suite)"
  fetch_source "$work" "$suite" libsrtp2 --tar-only || continue
  source=$(echo "$work"/libsrtp2_*.orig.tar.*)
done
[ -n "$source" ] || fail "$reason" "Debian's libsrtp2-1 serves as well, slower; a local source may be named: make setup SRTP_SOURCE=/path/to/libsrtp2.tar.gz"
mkdir "$work/tree"
if [ -d "$source" ]; then cp -a "$source/." "$work/tree"; else
  tar xf "$source" -C "$work/tree" --strip-components=1 2> "$work/tar.log" || fail "$(tail -1 "$work/tar.log")" "$source must be a tarball or source tree of libsrtp 2"
fi
cd "$work/tree"
[ -x configure ] || fail "$source holds no configure" "name another source: make setup SRTP_SOURCE=…"
export CFLAGS="-O2 -fPIC -DNDEBUG"
quiet srtp-configure ./configure --enable-openssl
quiet srtp-build make -j"$(nproc)" shared_library
mkdir -p "$(dirname "$library")"
mv "$(readlink -f libsrtp2.so)" "$library"
say "  libsrtp is built"
