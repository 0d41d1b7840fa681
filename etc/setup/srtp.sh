#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# srtp.sh: libsrtp (BSD licence) with OpenSSL's ciphers, in the private environment, for media/rtp/srtp.py. Debian's own is built with NSS, which makes
# a cipher anew for each packet of AES_CM: nine times the CPU (docs/performance.md). Without it Debian's serves.
#   SRTP_SOURCE  a local tarball or source tree of libsrtp 2, for machines that cannot reach a Debian archive
. "$(dirname "$0")/common.sh"
library=$venv/lib/libcordboard-srtp.so

tools libsrtp gcc make tar xz
source_tree libsrtp2 SRTP_SOURCE "Debian's libsrtp2-1 serves as well, slower" --strip-components=1
cd "$work/tree"
[ -x configure ] || fail "$source holds no configure" "name another source: make setup SRTP_SOURCE=…"
export CFLAGS="-O2 -fPIC -DNDEBUG"
quiet srtp-configure ./configure --enable-openssl
quiet srtp-build make -j"$(nproc)" shared_library
mkdir -p "$(dirname "$library")"
mv "$(readlink -f libsrtp2.so)" "$library"
say "  libsrtp is built"
