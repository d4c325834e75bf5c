#!/bin/sh
# What the shared object shows to others: shared_object.sh LIBRARY HEADER
# Exactly the functions of the header are exported, nothing runs at load, and it is linked as it should be.
set -eu

library=$1 header=$2
status=0

complain() {
    echo "$1"
    status=1
}

exported=$(nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ { print $3 }' | sort)
declared=$(grep -o 'ref_alloc_[a-z_]*(' "$header" | tr -d '(' | sort -u |
    while read -r name; do grep -q "^REF_ALLOC_API.*[ *]$name(" "$header" && echo "$name"; done)
[ "$exported" = "$declared" ] || complain "exported: $exported
declared: $declared"

# The compiler's own frame_dummy is the one constructor that every shared object has.
pointer_bytes=$(readelf -hW "$library" | awk '/Class:/ { print ($2 == "ELF64") ? 8 : 4 }')
constructors=$(readelf -SW "$library" | sed 's/^ *\[ *[0-9]*\] *//' | awk '$1 == ".init_array" { print $5 }')
[ $((0x${constructors:-0})) -le "$pointer_bytes" ] || complain "it has a constructor"

needed=$(readelf -dW "$library" | grep NEEDED | grep -v -e 'libc\.' -e 'ld-' || true)
[ -z "$needed" ] || complain "it needs more than the C library: $needed"
readelf -dW "$library" | grep -q 'SONAME.*libref_alloc\.so\.1' || complain "its soname is not libref_alloc.so.1"
readelf -dW "$library" | grep -q 'BIND_NOW\|NOW' || complain "it is not bound at load"
readelf -lW "$library" | grep -q GNU_RELRO || complain "its relocations stay writable"
readelf -lW "$library" | grep 'GNU_STACK' | grep -q 'RWE' && complain "its stack is executable"
exit $status
