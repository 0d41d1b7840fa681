#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pjsua2.sh: the SIP stack's Python module in the private environment. Takes what is there if it is 2.16 or newer, else builds it.
#   PJSIP_SOURCE  a local pjproject tarball or source tree, for machines that cannot reach a Debian archive
. "$(dirname "$0")/common.sh"

version() { # of the pjsua2 that this Python imports, or nothing
  "$1" -c 'import pjsua2; v = pjsua2.Endpoint().libVersion(); print(f"{v.major}.{v.minor}")' 2> /dev/null || true
}
good() { [ -n "$1" ] && [ "$(printf '%s\n2.16\n' "$1" | sort -V | head -1)" = 2.16 ]; }

# A build of ours is for certain limits and flags. What somebody else built is taken as it is where its headers are there too: the part of the
# SIP process that is compiled (pjsip-shim.sh) needs them.
headers=$venv/include/pjproject # of our own build, with the flags that they want in the file `cflags`
built=$stamps/pjsip-built
recipe=$(cat "$root/etc/setup/pjsua2-config_site.h" "${BASH_SOURCE[0]}" | grep -E '^ *(#define|export|quiet pjsip-|quiet pjsua2-swig|--)' | sha256sum)
found=$(version "$venv/bin/python")
if good "$found" && [ -e "$headers/cflags" ] && [ -e "$built" ] && [ "$(cat "$built")" = "$recipe" ]; then say "  pjsua2 $found is there"; exit 0; fi
foreign=$(pkg-config --modversion libpjproject 2> /dev/null) || foreign=
found=$(version "$python")
if good "$found" && [ "${foreign%%[!0-9.]*}" = "$found" ]; then
  say "  using the system's pjsua2 $found"
  site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  "$python" -c 'import pjsua2, _pjsua2; print(pjsua2.__file__); print(_pjsua2.__file__)' | while read -r file; do ln -sf "$file" "$site/"; done
  if good "$(version "$venv/bin/python")"; then
    mkdir -p "$headers"
    pkg-config --cflags libpjproject > "$headers/cflags"
    rm -f "$built"
    exit 0
  fi
  rm -f "$site"/pjsua2.py "$site"/_pjsua2*
  say "  the private environment's Python cannot load it: building"
elif good "$found"; then
  say "  the system's pjsua2 $found has no headers here (pkg-config libpjproject): building our own"
fi

for need in gcc:build-essential g++:build-essential make:build-essential swig:swig tar:tar xz:xz-utils pkg-config:pkg-config; do
  command -v "${need%:*}" > /dev/null || fail "${need%:*} is missing, the SIP stack cannot be built" "install the package ${need#*:}"
done
python_headers=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -e "$python_headers/Python.h" ] || fail "Python's headers are missing ($python_headers/Python.h)" "install the package python3-dev"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt drops privileges while it downloads

local_source="or name a local source: make setup PJSIP_SOURCE=/path/to/pjproject.tar.gz"
if [ -n "${PJSIP_SOURCE:-}" ]; then
  [ -e "$PJSIP_SOURCE" ] || fail "PJSIP_SOURCE names nothing: $PJSIP_SOURCE" "give a pjproject tarball or source tree"
  source=$PJSIP_SOURCE
else
  say "  fetching its source from Debian's archive"
  # the pristine pjproject release that Debian's asterisk source carries
  fetch_source "$work" sid asterisk || fail "$reason" "mend that, $local_source"
  source=$(echo "$work"/asterisk_*.orig-Xpjproject.tar.*)
  [ -e "$source" ] || fail "Debian's asterisk source carries no pjproject any more" "$local_source"
fi
mkdir "$work/src"
if [ -d "$source" ]; then cp -a "$source/." "$work/src"; else
  tar xf "$source" -C "$work/src" --strip-components=1 || fail "$source is no tar archive" "give a pjproject tarball or source tree"
fi
cd "$work/src"
[ -e pjlib/include/pj/config.h ] || fail "$source is no pjproject source" "give a pjproject tarball or source tree"
cp "$root/etc/setup/pjsua2-config_site.h" pjlib/include/pj/config_site.h
touch pjmedia/src/pjmedia-audiodev/bdimad_dev.c # Debian's tarball lacks it and the makefile wants it

say "  configuring the SIP stack"
export CFLAGS="-O2 -fPIC -DNDEBUG" CXXFLAGS="-O2 -fPIC -DNDEBUG"
quiet pjsip-configure ./configure --enable-epoll --disable-video --disable-sound --disable-libwebrtc --disable-libwebrtc-aec3 \
  --disable-speex-aec --with-external-speex --with-external-gsm --with-external-srtp --disable-ilbc-codec --disable-g7221-codec \
  --disable-libyuv --disable-sdl --disable-ffmpeg --disable-v4l2 --disable-openh264 --disable-vpx --disable-upnp --enable-libsamplerate
say "  building its libraries (one to four minutes)"
quiet pjsip-dep make dep
quiet pjsip-lib make -j"$(nproc)" lib # without its programs
say "  building its Python module (one to four minutes)"
cd pjsip-apps/src/swig/python
# Without threads: pjsip runs in one of ours, so nothing is gained by giving the interpreter away at each of its functions.
quiet pjsua2-swig make PYTHON_EXE="$venv/bin/python" USE_THREADS=
# Without build isolation: setuptools is the locked one, nothing is fetched.
quiet pjsua2-install "$venv/bin/python" -m pip install --disable-pip-version-check --use-pep517 --no-build-isolation --no-index --no-deps --force-reinstall .
found=$(version "$venv/bin/python")
good "$found" || fail "the module was built but does not import" "the logs are in $logs"
cd "$work/src"
rm -rf "$headers"
mkdir -p "$headers" "$stamps"
for library in pjlib pjlib-util pjnath pjmedia pjsip; do cp -R "$library/include/." "$headers/"; done
printf 'include build.mak\nflags:\n\t@echo $(filter -D%%,$(APP_CFLAGS))\n' > flags.mak
flags=$(make --no-print-directory -s -f flags.mak flags)
[[ $flags == *-DPJ_AUTOCONF=1* ]] || fail "its compiler flags could not be read ($flags)" "give another pjproject source"
echo "-I$headers $flags" > "$headers/cflags"
rm -f "$stamps/pjsua2-built" # of a recipe before this one
echo "$recipe" > "$built"
say "  pjsua2 $found is built"
