#!/bin/bash -eu
# Builds the fuzz targets as OSS-Fuzz and ClusterFuzzLite want them, with what they set: $CC, $CXX, $CFLAGS, $CXXFLAGS,
# $LIB_FUZZING_ENGINE, $OUT, $SRC (the tree is $SRC/strongroom), and perhaps $WORK.
#
#     $OUT/fuzz_NAME                  a target: one file that needs libc alone; the allocator is inside of it (linked.c)
#     $OUT/fuzz_NAME_seed_corpus.zip  the committed programs, as bytes
#     $OUT/fuzz_NAME.dict             the operations in them
#     $OUT/fuzz_NAME.options          of libFuzzer, for ClusterFuzz
#
# `just oss-fuzz-check` runs this with their values and checks the result as they do.

cd "$SRC/strongroom"
work=${WORK:-$(mktemp -d)}/strongroom
mkdir -p "$work"
read -ra flags <<<"$CFLAGS"
read -ra cxx_flags <<<"${CXXFLAGS:-$CFLAGS}"
common=(-std=c17 -D_GNU_SOURCE -I.)
# Coverage is counted in the allocator, and in counters of the target's own: fuzz/counters.h.
# shellcheck disable=SC2054 # one word
uncounted=(-fno-sanitize-coverage=trace-pc-guard,inline-8bit-counters,pc-table,trace-cmp,indirect-calls)

mapfile -t model < <(find model -maxdepth 1 -name '*.c' ! -name emit.c ! -name emit_runtime.c | LC_ALL=C sort)
mapfile -t target < <(find fuzz -maxdepth 1 -name '*.c' ! -name afl.c ! -name afl_mutator.c ! -name libfuzzer.c \
    ! -name mutate.c ! -name run.c | LC_ALL=C sort)

# The committed programs as bytes, by the target without an engine.
python3 model/embed.py model/emit_runtime.c "$work/emit_runtime.inc"
cc -O1 "${common[@]}" -I"$work" -rdynamic -o "$work/assemble" fuzz/run.c "${target[@]}" "${model[@]}" model/emit.c -ldl -lpthread
mkdir -p "$work/seeds"
mapfile -t texts < <(find corpus/allocator -name '*.txt' | LC_ALL=C sort)
"$work/assemble" --assemble "$work/seeds" "${texts[@]}"
find corpus/allocator/minimised -type f ! -name '.*' ! -name '*.txt' -exec cp -t "$work/seeds" {} +

# The allocator, and what every target shares.
"$CC" "${flags[@]}" "${common[@]}" -fPIC -shared -o "$work/subject.so" subjects/ref-alloc.c ref-alloc/*.c -lpthread
objects=()
for source in fuzz/libfuzzer.c fuzz/mutate.c "${target[@]}" "${model[@]}"; do
    object=$work/${source//\//_}.o
    "$CC" "${flags[@]}" "${common[@]}" "${uncounted[@]}" -c -o "$object" "$source"
    objects+=("$object")
done

for variant in guarded packed; do
    name=fuzz_ref_alloc_$variant
    "$CC" "${flags[@]}" "${common[@]}" "${uncounted[@]}" -DSUBJECT_FILE="\"$work/subject.so\"" \
        -DSUBJECT_VARIANT="\"ref-alloc-$variant\"" -c -o "$work/$name.o" .clusterfuzzlite/linked.c
    # shellcheck disable=SC2086 # the engine may be several words
    "$CXX" "${cxx_flags[@]}" -rdynamic -o "$OUT/$name" "$work/$name.o" "${objects[@]}" $LIB_FUZZING_ENGINE -ldl -lpthread
    python3 .clusterfuzzlite/pack.py "$work/seeds" "$OUT/$name"
done
