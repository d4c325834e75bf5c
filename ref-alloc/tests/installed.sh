#!/bin/sh
# Installs into an empty place and uses what is there as a stranger would: installed.sh BUILD-DIRECTORY HEADER CC...
set -eu

build=$1 header=$2
shift 2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Only what is built by default: the library, and the verifier of the project around it.
meson install -C "$build" --no-rebuild --destdir "$place" --quiet --tags devel,runtime,man >"$place/log" 2>&1 || {
    cat "$place/log"
    exit 1
}
pc=$(find "$place" -name ref_alloc.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$place
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
LD_LIBRARY_PATH=$(dirname "$(find "$place" -name libref_alloc.so.1)")
export LD_LIBRARY_PATH

cat >"$place/user.c" <<'END'
#include <ref_alloc.h>

int main(void)
{
    unsigned char *key = ref_alloc_allocate(NULL, 32);
    ref_alloc_free(NULL, key);
    return key != NULL && ref_alloc_close(NULL) ? 0 : 1;
}
END
# shellcheck disable=SC2046  # several words are meant
"$@" -Wall -Wextra -Werror "$place/user.c" $(pkg-config --cflags --libs ref_alloc) -o "$place/shared"
"$place/shared"
# shellcheck disable=SC2046
"$@" -Wall -Wextra -Werror "$place/user.c" $(pkg-config --cflags ref_alloc) "$(find "$place" -name libref_alloc.a)" \
    -o "$place/static"
(unset LD_LIBRARY_PATH && "$place/static")
readelf -d "$place/shared" | grep -q 'NEEDED.*libref_alloc\.so\.1]' || {
    echo "the program was not linked to libref_alloc.so.1"
    exit 1
}

status=0
sed -n 's/^REF_ALLOC_API.*[ *]\(ref_alloc_[a-z_]*\)(.*/\1/p' "$header" >"$place/functions"
[ -s "$place/functions" ] || status=1
while read -r function; do
    page=$(find "$place" -name "$function.3*")
    if [ -z "$page" ] || ! grep -q "$function" "$page"; then
        echo "$function has no manual page"
        status=1
    fi
done <"$place/functions"
exit $status
