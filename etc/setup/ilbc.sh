#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# ilbc.sh: the iLBC codec as one small shared library in the private environment, for media/codecs/ilbc.py.
# It is the WebRTC project's (BSD licence), from Debian's source package libtgowt, which carries it; nothing else of that is built.
#   ILBC_SOURCE  a local tarball or source tree of libtgowt or tg_owt, for machines that cannot reach a Debian archive
. "$(dirname "$0")/common.sh"
library=$venv/lib/libcordboard-ilbc.so

tools iLBC gcc g++ tar xz
source_tree libtgowt ILBC_SOURCE "without iLBC all else works" --wildcards '*/modules/audio_coding/codecs/ilbc/*' '*/common_audio/*' '*/rtc_base/*'
codec=$(find "$work/tree" -type d -path '*/modules/audio_coding/codecs/ilbc' | head -1)
[ -n "$codec" ] || fail "$source holds no modules/audio_coding/codecs/ilbc" "name another source: make setup ILBC_SOURCE=…"
cd "$codec/../../../.."

# What these few files want of the rest of WebRTC and of Abseil is said here in their place.
mkdir -p "$work/in/absl/base" "$work/in/rtc_base/numerics"
echo '#define ABSL_MUST_USE_RESULT' > "$work/in/absl/base/attributes.h"
cat > "$work/in/rtc_base/numerics/safe_conversions.h" << 'END'
#include <limits>
namespace rtc {
template <typename To, typename From> To saturated_cast(From value) {
  using Range = std::numeric_limits<To>;
  return value > Range::max() ? Range::max() : value < Range::min() ? Range::min() : static_cast<To>(value);
}
}
namespace webrtc { using rtc::saturated_cast; }
END
cat > "$work/in/fatal.c" << 'END'
#include <stdlib.h>
void rtc_FatalMessage(const char *file, int line, const char *message) { (void)file, (void)line, (void)message; abort(); }
END
echo '{ global: WebRtcIlbcfix_*; local: *; };' > "$work/in/names"

flags=(-O2 -fPIC -DNDEBUG -DWEBRTC_POSIX -DWEBRTC_LINUX -ffunction-sections -w "-I$work/in" -I.)
mapfile -t files < <(find modules/audio_coding/codecs/ilbc common_audio/signal_processing common_audio/third_party/spl_sqrt_floor \
  -name '*.c' ! -name '*_neon.c' ! -name '*_mips.c' ! -name '*_arm*.c' ! -path '*/test/*' | sort)
objects=()
if [ -e common_audio/signal_processing/dot_product_with_scale.cc ]; then
  quiet ilbc-dot g++ -x c++ -fno-exceptions "${flags[@]}" -c common_audio/signal_processing/dot_product_with_scale.cc -o "$work/dot.o"
  objects=("$work/dot.o")
fi
quiet ilbc-build gcc -shared "${flags[@]}" "${files[@]}" "$work/in/fatal.c" "${objects[@]}" \
  -Wl,--gc-sections -Wl,-z,defs -Wl,--version-script="$work/in/names" -o "$work/library.so" -lm
mkdir -p "$(dirname "$library")"
mv "$work/library.so" "$library"
say "  iLBC is built"
