#!/usr/bin/env bash
# What pv-fuzz does around engines and replay binaries: which it starts, how it stops them, what it says of findings.
# A project of fakes stands in for them, in a folder whose name has a blank.
# Usage: tests/pv_fuzz.sh BIN-FOLDER
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root="$work/a project"
bin="$root/build/mine/bin"
mkdir -p "$bin" "$root/build/fuzz/bin" "$root/build/fuzz/corpora/msr" "$root/build/dev/bin" "$root/corpora/msr"
cp "$1/pv-fuzz" "$bin"
cd "$root" || exit 4
: >build/fuzz/corpora/msr.dict
echo input >"corpora/msr/seed input"
failed=0

fail() {
    echo "FAILED: $name: $1"
    sed 's/^/    /' "$work/out" "$work/err"
    failed=1
}

# says FILE TEXT...: each of them is part of a line of out or err
says() {
    local file=$work/$1 text
    shift
    for text; do
        grep -qF -- "$text" "$file" || fail "it does not say: $text"
    done
}

# expect NAME STATUS COMMAND...
expect() {
    name=$1
    local status=$2 got
    shift 2
    timeout 100 "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ "$got" -eq "$status" ] || fail "exit status $got, not $status"
}

# fake PATH LINE...: a program
fake() {
    local path=$1
    shift
    printf '%s\n' '#!/usr/bin/env bash' "$@" >"$path"
    chmod +x "$path"
}

expect "a replay of no file" 2 "$bin/pv-fuzz" replay nowhere
says err "nowhere: No such file or directory"
expect "a replay without its binary" 3 "$bin/pv-fuzz" replay "corpora/msr/seed input"
says err "_msr is not built beside this program - cmake --build '$root/build/mine' --target"
replay=$(sed -n 's/^pv-fuzz replay: \([a-z_]*\) is not .*/\1/p' "$work/err")
for name in fuzz_msr replay_msr; do # of another build: perhaps of another day's code
    fake "build/dev/bin/$name" 'echo stale'
done
expect "a replay beside a build that has it" 3 "$bin/pv-fuzz" replay "corpora/msr/seed input"
# shellcheck disable=SC2016 # the fake expands it
fake "$bin/$replay" 'echo "mine replays $2"; exit 1'
expect "a replay" 1 "$bin/pv-fuzz" replay "corpora/msr/seed input"
says out "mine replays corpora/msr/seed input" "replay: pv-fuzz replay --target msr 'corpora/msr/seed input'"

expect "a run without a fuzzer" 3 "$bin/pv-fuzz" run msr
says err "cmake --preset fuzz && cmake --build --preset fuzz"
# shellcheck disable=SC2016
fake build/fuzz/bin/replay_msr 'echo "explained: $1"; exit 1'
# shellcheck disable=SC2016
finds='for arg; do case $arg in -artifact_prefix=*) echo found >"${arg#*=}crash-1"; esac; done; exit 77'
fake build/fuzz/bin/fuzz_msr "$finds"
file="'an out/findings/msr-"
expect "a run that finds something" 1 "$bin/pv-fuzz" run msr -o "an out"
says out "msr: 1 findings" "replay: pv-fuzz replay --target msr $file" "explained: an out/findings/msr-"
expect "a run that finds something, for machines" 1 "$bin/pv-fuzz" run msr --json -o "an out"
says out "\"replay\":\"pv-fuzz replay --target msr $file"
fake build/fuzz/bin/fuzz_msr 'exit 5'
expect "an engine that fails" 4 "$bin/pv-fuzz" run msr -o "an out"
says err "the engine ended with status 5 and no finding; its words are in an out/fuzz/job-0.log"

# AFL++ is wherever PATH finds it: many build it themselves.
mkdir -p build/afl/bin build/afl/corpora "$work/tools" "$work/none"
cp -r build/fuzz/corpora/. build/afl/corpora
fake build/afl/bin/fuzz_msr 'exit 0'
fake build/afl/bin/replay_msr 'exit 0'
fake "$work/tools/afl-fuzz" 'echo "mine runs"; exit 5'
expect "afl-fuzz in PATH" 4 env PATH="$work/tools:$PATH" "$bin/pv-fuzz" run msr --engine afl++ -o "an out"
grep -q "mine runs" "an out/afl/job-0.log" || fail "another afl-fuzz was started"
expect "no afl-fuzz in PATH" 3 env PATH="$work/none" "$bin/pv-fuzz" run msr --engine afl++ -o "an out"
says err "afl-fuzz is missing"

# Every way to be ended takes the engine along. By SIGKILL we cannot say so.
# shellcheck disable=SC2016
fake build/fuzz/bin/fuzz_msr 'echo $$ >"$0.pid"; exec sleep 1000'
for signal in INT TERM HUP KILL; do
    name="SIG$signal"
    rm -f build/fuzz/bin/fuzz_msr.pid
    "$bin/pv-fuzz" run msr -o "an out" >"$work/out" 2>"$work/err" &
    pid=$!
    until [ -s build/fuzz/bin/fuzz_msr.pid ] || [ ! -d "/proc/$pid" ]; do
        read -r -t 0.05 <><(:)
    done
    engine=$(cat build/fuzz/bin/fuzz_msr.pid)
    kill -s "$signal" "$pid"
    wait "$pid" 2>/dev/null
    got=$?
    want=130
    [ "$signal" = KILL ] && want=137
    [ "$got" -eq "$want" ] || fail "exit status $got, not $want"
    [ "$signal" = KILL ] || says err "interrupted after"
    for ((tries = 0; tries < 100; tries++)); do # the kernel ends it at its leisure
        [ -d "/proc/$engine" ] || break
        read -r -t 0.1 <><(:)
    done
    [ ! -d "/proc/$engine" ] || fail "the engine lives on"
done

exit "$failed"
