# Everything that can be done here. `just` alone lists it; `./dev RECIPE` installs what is missing first.

set positional-arguments
set quiet
set shell := ["sh", "-euc"]

root := justfile_directory()
tools := root / "tools"

[private]
default:
    {{ just_executable() }} --justfile '{{ justfile() }}' --list --unsorted

# Build everything with gcc into build/
[group('build')]
[no-exit-message]
build:
    CC=gcc exec '{{ tools }}/build' '{{ root }}/build'

# Remove all that was built (what ./dev installed in build/tools stays)
[group('build')]
clean:
    '{{ tools }}/clean' '{{ root }}/build'

# The gate: does a subject keep its promises? verify SUBJECT|PATH... [options]
[group('verify')]
[no-cd]
[no-exit-message]
verify *ARGS: build
    exec '{{ root }}/build/strongroom' verify "$@"

# Every allocator found here x every promise, side by side: compare [SUBJECT|PATH]...
[group('verify')]
[no-cd]
[no-exit-message]
compare *ARGS: build
    exec '{{ root }}/build/strongroom' compare "$@"

# The subjects and the promises that there are
[group('verify')]
[no-cd]
[no-exit-message]
list *ARGS: build
    exec '{{ root }}/build/strongroom' list "$@"

# What a promise means, how it is observed, what breaks it in practice
[group('verify')]
[no-cd]
[no-exit-message]
explain *PROMISE: build
    exec '{{ root }}/build/strongroom' explain "$@"

# Run one program against one subject: replay PROGRAM SUBJECT
[group('verify')]
[no-cd]
[no-exit-message]
replay *ARGS: build
    exec '{{ root }}/build/strongroom' replay "$@"

# Everything, with gcc and with clang, and lint; ends with "N passed, N failed"
[group('check')]
[no-exit-message]
test:
    exec '{{ tools }}/test' gcc clang

# With gcc only; names pick tests (`meson test -C build --list` shows them)
[group('check')]
[no-exit-message]
test-quick *NAMES:
    exec '{{ tools }}/test' gcc -- "$@"

# What is against the house rules: dependencies, style, head comments
[group('check')]
[no-exit-message]
lint:
    exec '{{ tools }}/lint' '{{ root }}'

# Verify, with reports as JSON, JUnit, SARIF and Markdown in build/reports, the last on the page of a job: ci-verify SUBJECT
[group('check')]
[no-exit-message]
ci-verify +SUBJECT: build
    exec '{{ tools }}/with-reports' '{{ root }}/build' verify "$@"

# The same for all that are found here
[group('check')]
[no-exit-message]
ci-compare: build
    exec '{{ tools }}/with-reports' '{{ root }}/build' compare

# Bring C into the house style
[group('check')]
[no-exit-message]
format:
    exec '{{ tools }}/lint' --format '{{ root }}'

# Write docs/promises.md anew, from what the program says of its promises
[group('build')]
[no-exit-message]
docs: build
    '{{ tools }}/promises' '{{ root }}/build/strongroom' >'{{ root }}/build/promises.md'
    cp '{{ root }}/build/promises.md' '{{ root }}/docs/promises.md'

# Look for broken promises with libFuzzer: fuzz [SUBJECT|PATH.so] [SECONDS] [--variant NAME]
[group('fuzz')]
[no-cd]
[no-exit-message]
fuzz *ARGS: build
    STRONGROOM_DEFAULT_SUBJECT=ref-alloc exec /usr/bin/python3 '{{ root }}/fuzz/recipes.py' fuzz "$@"

# The same with AFL++
[group('fuzz')]
[no-cd]
[no-exit-message]
fuzz-afl *ARGS: build
    STRONGROOM_DEFAULT_SUBJECT=ref-alloc exec /usr/bin/python3 '{{ root }}/fuzz/recipes.py' fuzz-afl "$@"

# Verify a shared object in a container: docker-verify LIB.so [FOLDER [OPTIONS]]
[group('verify')]
[no-cd]
[no-exit-message]
docker-verify *ARGS:
    exec '{{ root }}/docker/verify' "$@"

# A campaign in containers, with both engines: docker-campaign LIB.so [MINUTES]
[group('fuzz')]
[no-cd]
[no-exit-message]
docker-campaign *ARGS:
    exec '{{ root }}/docker/campaign' "$@"

# Both engines on all cores, for hours; goes on where it was killed: campaign HOURS [SUBJECT|PATH.so] [--cores N]
[group('fuzz')]
[no-cd]
[no-exit-message]
campaign *ARGS: build
    STRONGROOM_DEFAULT_SUBJECT=ref-alloc exec /usr/bin/python3 '{{ root }}/fuzz/campaign.py' "$@"

# From a crash to a small C program: triage FILE SUBJECT|PATH.so [--variant NAME] [--keep NAME]
[group('fuzz')]
[no-cd]
[no-exit-message]
triage *ARGS: build
    exec /usr/bin/python3 '{{ root }}/fuzz/triage.py' "$@"

# Every committed input on the good subjects, or on these, under both engines: corpus-check [SUBJECT|PATH.so]...
[group('fuzz')]
[no-cd]
[no-exit-message]
corpus-check *SUBJECTS: build
    STRONGROOM_DEFAULT_SUBJECT='correct ref-alloc' exec /usr/bin/python3 '{{ root }}/fuzz/recipes.py' corpus-check "$@"

# The committed corpus anew, from it and from what fuzzing left in the build
[group('fuzz')]
[no-exit-message]
corpus-minimise *ARGS: build
    STRONGROOM_DEFAULT_SUBJECT=ref-alloc exec /usr/bin/python3 '{{ root }}/fuzz/recipes.py' corpus-minimise "$@"

# The same, from these folders: corpus-merge FOLDER...
[group('fuzz')]
[no-cd]
[no-exit-message]
corpus-merge *FOLDERS: build
    STRONGROOM_DEFAULT_SUBJECT=ref-alloc exec /usr/bin/python3 '{{ root }}/fuzz/recipes.py' corpus-merge "$@"

# Judge every allocator found here, measure what a secret costs with each, and write docs/comparison.md: [RESULT.json]
[group('measure')]
[no-exit-message]
comparison *RESULT: build
    ninja -C '{{ root }}/build' --quiet subjects/probe/cost >&2
    exec '{{ tools }}/comparison' '{{ root }}/build' '{{ root }}/docs/comparison.md' "$@"

# The reference allocator, its peers and the floors, in one run: bench [--rounds N] [--burst-ms N]
[group('measure')]
[no-exit-message]
bench *ARGS: build
    ninja -C '{{ root }}/build' --quiet bench/bench >&2
    '{{ root }}/bench/run' '{{ root }}/build' "$@"

# Under a tool that watches memory, with locks that are real: sanitize asan|lsan|msan|tsan|memcheck|helgrind [SUBJECT|PATH.so]
[group('check')]
[no-cd]
[no-exit-message]
sanitize *ARGS: build
    STRONGROOM_CALLED_FROM="$PWD" exec /usr/bin/python3 '{{ root }}/sanitizers/run' "$@"

# The same under all of them, with gcc and with clang; a table
[group('nightly')]
[no-exit-message]
sanitize-all *ARGS: build
    exec /usr/bin/python3 '{{ root }}/sanitizers/run' all "$@"

# Branches of the reference allocator that its own tests take, and why the others can't be
[group('measure')]
[no-exit-message]
coverage:
    exec '{{ root }}/ref-alloc/tests/coverage' '{{ root }}/build/coverage' '{{ root }}/build/targets/ref-alloc-coverage.json'

# What was measured against a bar (build/targets/*.json), as one table
[group('measure')]
[no-exit-message]
targets:
    exec /usr/bin/python3 '{{ tools }}/targets' '{{ root }}/build/targets'

# All of the below, within a budget; goes on where it was; one report in build/nightly/report: nightly [HOURS] [--fresh]
[group('nightly')]
[no-exit-message]
nightly *ARGS:
    exec /usr/bin/python3 '{{ tools }}/nightly' "$@"

# One step of it, as the jobs of the nightly workflow run it
[group('nightly')]
[no-exit-message]
nightly-step NAME:
    exec /usr/bin/python3 '{{ tools }}/nightly' --step "$1"

# What OSS-Fuzz and ClusterFuzzLite would build, built and checked as they do
[group('nightly')]
[no-exit-message]
oss-fuzz-check *ARGS:
    exec '{{ root }}/.clusterfuzzlite/check' "$@"

# The images on a container engine, tried: verify inside, a campaign of two minutes, a worker killed; at most 20 minutes
[group('nightly')]
[no-exit-message]
docker-test *ARGS: build
    exec /usr/bin/python3 '{{ root }}/docker/try' "$@"

# Tests that take minutes or need a container engine
[group('nightly')]
[no-exit-message]
test-nightly: build
    meson test -C '{{ root }}/build' --no-rebuild --setup nightly --suite nightly

# Unit tests of the reference allocator for musl, 32 bits, another processor and larger pages: elsewhere [TARGET]...
[group('nightly')]
[no-exit-message]
elsewhere *TARGETS:
    exec '{{ root }}/ref-alloc/tests/elsewhere/run' "$@"

# The verifier against its bars, speed and repeats, and false alarms in 100 runs: an hour; goes on where it was killed
[group('nightly')]
[no-exit-message]
suite-targets *ARGS: build
    exec /usr/bin/python3 '{{ tools }}/suite-targets' "$@"

# Fuzzing against its bars: hours in full (--sample for less); goes on where it was killed
[group('nightly')]
[no-exit-message]
fuzz-targets *ARGS: build
    exec /usr/bin/python3 '{{ root }}/fuzz/targets.py' --rate-variant ref-alloc-packed "$@" -- ref-alloc

# Which lines of an allocator whose sources are here the committed inputs reach; the others need a reason
[group('fuzz')]
[no-exit-message]
fuzz-lines *ARGS: build
    STRONGROOM_DEFAULT_SUBJECT=ref-alloc exec /usr/bin/python3 '{{ root }}/fuzz/lines.py' "$@"

[private]
[no-exit-message]
fuzz-nightly: (fuzz-targets "--sample")

# Who catches which known-bad allocator, and who cries wolf: kill-matrix [--from RESULT.json]
[group('nightly')]
[no-exit-message]
kill-matrix *ARGS: build
    exec /usr/bin/python3 '{{ tools }}/kill-matrix' "$@"

# Mutants of the reference allocator, and who kills them; goes on where it was: mutants [--count N] [--seed N]
[group('nightly')]
[no-exit-message]
mutants *ARGS: build
    exec nice -n 10 /usr/bin/python3 '{{ tools }}/mutants' "$@"

# Judge again and again, and say every verdict that changed: repeat [--repeats N] [--busy]
[group('nightly')]
[no-exit-message]
repeat *ARGS: build
    exec /usr/bin/python3 '{{ root }}/suite/tests/repeat' "$@"

# Try a bare clone on an empty Debian machine (a chroot; needs root; minutes)
[group('nightly')]
[no-exit-message]
fresh:
    exec '{{ tools }}/fresh' '{{ root }}'
