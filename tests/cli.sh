#!/usr/bin/env bash
# What a person meets who mistypes, has no space or no QEMU: one clear line, the right exit status, nothing half written.
# Usage: tests/cli.sh BIN-FOLDER
set -u
cd "$(dirname "$0")/.." || exit 4

bin=$1
diff=$bin/pv-diff
fuzz=$bin/pv-fuzz
command -v qemu-system-x86_64 >/dev/null || { echo "QEMU is missing: ci/setup" && exit 3; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_DATA_HOME=$work/data XDG_CACHE_HOME=$work/cache
unset NO_COLOR
failed=0

fail() {
    echo "FAILED: $name: $1"
    sed 's/^/    /' "$work/err" | head -n 5
    failed=1
}

# expect NAME STATUS LINE COMMAND...: LINE is part of stderr, whose lines are no more than one. LINE empty: no stderr.
expect() {
    name=$1
    local status=$2 line=$3 got
    shift 3
    timeout 100 "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ "$got" -eq "$status" ] || fail "exit status $got, not $status"
    [ -z "$line" ] || grep -qF -- "$line" "$work/err" || fail "it does not say: $line"
    [ "$(wc -l <"$work/err")" -le 1 ] || fail "more than one line"
    [ -n "$line" ] || [ ! -s "$work/err" ] || fail "it says something"
}

# the shortest run there is
run=("$diff" run -cpu kvm64 --reference qemu-tcg --scenario cpuid-sweep)

block() { # block NAME LINE...: a matrix of one flag set
    name=$1
    shift
    {
        echo "flags a"
        printf '    %s\n' "$@"
    } >"$work/$name"
}

expect "a run that finds nothing" 0 "" "${run[@]}"
expect "an unknown command" 2 "there is no command nonsense" "$diff" nonsense
expect "an unknown flag" 2 "both machines refuse" \
    "$diff" run -cpu qemu64,+nonsense --reference qemu-tcg --scenario cpuid-sweep
expect "an unknown model" 2 "both machines refuse" \
    "$diff" run -cpu nomodel --reference qemu-tcg --scenario cpuid-sweep
expect "an unknown reference" 2 "no reference 'nope'" "${run[@]}" --reference nope
expect "no such run" 3 "no run 'nope'" "$diff" report nope
expect "too much memory" 2 "-m 900G" "${run[@]}" -m 900G
expect "no size" 2 "-m 3X" "${run[@]}" -m 3X

head -c 3000 "$diff" >"$work/binary.pv"
head -c 100 corpora/diff/apic.pv >"$work/cut.pv"
"$fuzz" show --binary -o "$work/program" corpora/diff/cpuid-sweep.pv
head -c 10 "$work/program" >"$work/cut"
expect "a binary program" 0 "" "${run[@]}" --scenario "$work/program"
expect "a binary program that is cut short" 2 "the header is cut short" "${run[@]}" --scenario "$work/cut"
expect "a text that is cut short" 2 "cut.pv:7:" "${run[@]}" --scenario "$work/cut.pv"
expect "no program at all" 2 "binary.pv:1:1:" "${run[@]}" --scenario "$work/binary.pv"
expect "a program that is no scenario of ours, on this host's KVM" 3 "use qemu-box" \
    "${run[@]}" --scenario "$work/program" --reference qemu-kvm

for case in \
    "matrix:1:1: this block has no machine|cpu kvm64" \
    "matrix:4:5: no key 'colour'|cpu kvm64|machine pc|colour red" \
    "matrix:4:25: there is no scenario 'nosuch'|cpu kvm64|machine pc|scenarios msr-reset nosuch" \
    "-m 1T|cpu kvm64|machine pc|memory 1T"; do
    IFS='|' read -ra lines <<<"$case"
    block matrix "${lines[@]:1}"
    expect "a matrix: ${lines[0]}" 2 "${lines[0]}" "$diff" run --matrix "$work/matrix" --reference qemu-tcg
done
: >"$work/empty"
expect "an empty matrix" 2 "no flag set" "$diff" run --matrix "$work/empty" --reference qemu-tcg

# What is missing is said before anything runs.
for reference in qemu-tcg qemu-box auto; do
    expect "no QEMU: $reference" 3 "apt-get install qemu-system-x86" \
        env PATH=/nonexistent "$diff" run -cpu kvm64 --reference "$reference" --scenario cpuid-sweep
done
expect "no kernel for the box" 3 "pv-diff box build" "${run[@]}" --reference qemu-box
expect "no home" 3 "--store FILE" env -u HOME -u XDG_DATA_HOME "${run[@]}"
expect "a report where a file is" 3 "cannot write the report" "${run[@]}" -o /dev/null
expect "a store on a full disk" 3 "no space left" "${run[@]}" --store /dev/full
# shellcheck disable=SC2016 # that shell expands it
expect "a table on a full disk" 3 "cannot write standard output: No space left" bash -c '"$@" >/dev/full' sh "${run[@]}"
for command in "vmm cpuid" "vmm cpuid --format json" "vmm cpuid -cpu help" "vmm --help" "diff --help" "diff run --help" "fuzz list" \
    "fuzz show corpora/diff/apic.pv" "diff flags --string qemu64 --json -"; do
    # shellcheck disable=SC2016,SC2086 # that shell expands it; two words
    expect "on a full disk: pv-$command" 3 "cannot write standard output: No space left" \
        bash -c '"$@" >/dev/full' sh $bin/pv-$command
done
expect "two lines of an error" 2 "unsupported machine type - Use -machine help" "$bin/pv-vmm" cpuid -M nope
expect "a CPU count that is none" 2 "-smp 2=3: Invalid parameter '2'" "$bin/pv-vmm" cpuid -smp 2=3
name="the keys of -smp"
"$bin/pv-vmm" cpuid -smp 2,help | diff - <(printf '%s\n' "smp-opts options:" "  "{clusters,cores,cpus,dies,maxcpus,sockets,threads}"=<num>") ||
    fail "other keys than QEMU's"
expect "a word that steers terminals" 2 "model '?[31m'" "$bin/pv-vmm" cpuid -cpu $'\e[31m'
expect "a campaign that cannot write its report" 3 "cannot write into /proc/nope" ci/campaign -o /proc/nope
expect "figures into no folder" 3 "cannot write /nonexistent/figures" ci/bench flags --json /nonexistent/figures
name="a reader that leaves"
"${run[@]}" 2>"$work/err" | head -n 1 >/dev/null
case ${PIPESTATUS[0]} in
0 | 141) ;; # 128 + SIGPIPE; 0: all was written before
*) fail "exit status is neither 0 nor 141" ;;
esac
[ ! -s "$work/err" ] || fail "it says something"

echo '{"schema":"paravane-fuzz-run-1","target":"msr","engine":"afl++","seconds":2,"jobs":1,"runs":9,"findings":1,
' | tr -d '\n' >"$work/fuzz"
expect "half a line of fuzzing results" 2 "line 1: not one JSON object" "${run[@]}" --fuzz "$work/fuzz"
echo '"findings_list":[{"file":"f","replay":"pv-fuzz replay f"}]}' >>"$work/fuzz"
expect "a fuzz finding" 1 "" "${run[@]}" --fuzz "$work/fuzz" -o "$work/report"
grep -q '"replay":	"pv-fuzz replay f"' "$work/report/report.json" || fail "the finding is not in report.json"

# What is no file, or has no end, is refused at once, whoever reads it. A pipe of the shell's is read like a file.
mkfifo "$work/fifo"
while IFS='|' read -r status command; do
    read -ra words <<<"$1/$command"
    expect "$command FIFO" "$status" "it is not a regular file" "${words[@]}" "$work/fifo"
    expect "$command FOLDER" "$status" "Is a directory" "${words[@]}" "$work"
    expect "$command without an end" "$status" "/dev/zero" "${words[@]}" /dev/zero
    expect "$command that is not there" "$status" "nosuch" "${words[@]}" "$work/nosuch"
done <<'END'
2|pv-diff run --reference qemu-tcg --scenario cpuid-sweep --matrix
2|pv-diff run -cpu kvm64 --reference qemu-tcg --scenario cpuid-sweep --known
2|pv-diff run -cpu kvm64 --reference qemu-tcg --scenario cpuid-sweep --fuzz
2|pv-diff flags --file
2|pv-fuzz show
2|pv-vmm run -bios
3|pv-vmm cpuid --supported
END
expect "a scenario from a FIFO" 2 "it is not a regular file" "${run[@]}" --scenario "$work/fifo"
expect "answers kept in a FIFO" 2 "it is not a regular file" "$diff" models --kept "$work/fifo"
expect "answers kept in a device" 2 "it is not a regular file" "$diff" models --kept /dev/null
expect "a store in a FIFO" 3 "$work/fifo" "${run[@]}" --store "$work/fifo"
expect "a fuzz input in a FIFO" 2 "it is not a regular file" "$fuzz" replay --target msr "$work/fifo"
expect "answers kept in a folder" 2 "Is a directory" "$diff" models --kept "$work"
expect "a pipe of the shell's" 0 "" "$fuzz" show <(cat corpora/diff/apic.pv)
cmp -s "$work/out" corpora/diff/apic.pv || fail "it is not the program"

# An older report is replaced as a whole; an interrupted run leaves it, the store, and no process.
name="a report over an older one"
before=$(cksum <"$work/report/report.json")
"${run[@]}" -o "$work/report" >/dev/null || fail "exit status $?"
[ "$before" != "$(cksum <"$work/report/report.json")" ] || fail "it is still the old one"
[ "$(find "$work/report" -type f | wc -l)" -eq 4 ] || fail "not four files"
for signal in INT TERM HUP KILL; do
    name="SIG$signal"
    before=$(cat "$work/report/"* | cksum)
    "$diff" run --matrix corpora/diff/matrix --reference qemu-tcg -o "$work/report" >"$work/out" 2>"$work/err" &
    pid=$!
    child=
    while [ -z "$child" ] && [ -d "/proc/$pid" ]; do # until its first QEMU is there
        child=$(pgrep -P "$pid" qemu-system | head -n 1)
    done
    kill -s "$signal" "$pid"
    wait "$pid" 2>/dev/null
    got=$?
    want=130
    [ "$signal" = KILL ] && want=137
    [ "$got" -eq "$want" ] || fail "exit status $got, not $want"
    [ "$before" = "$(cat "$work/report/"* | cksum)" ] || fail "the older report changed"
    for ((tries = 0; tries < 100; tries++)); do # the kernel takes a killed child's memory away at its leisure
        [ -d "/proc/$child" ] || break
        read -r -t 0.1 <><(:)
    done
    [ ! -d "/proc/$child" ] || fail "its QEMU lives on"
done

# Answers of every CPU model: what is kept survives an interruption, even in the middle of a line, and is not asked again.
kept=$work/answers
models=("$diff" models -j 1 --kept "$kept")
expect "a variant that there is none of" 2 "no variant nope" "${models[@]}" --variants nope
expect "a model that there is none of" 2 "no model 999" "${models[@]}" --models 999
expect "no answers" 3 "No such file" "$diff" models --offline --kept "$work/nothing"
expect "no file of answers" 2 "not answers" "$diff" models --offline --kept README.md
printf precious >"$work/precious"
expect "somebody's file" 2 "not answers" "$diff" models --kept "$work/precious"
[ "$(cat "$work/precious")" = precious ] || fail "it is cut"
expect "answers of another machine" 2 "--machine pc" "$diff" models --offline --machine q35 --kept tests/data/models-qemu-box.jsonl
name="models interrupted"
rm -f "$kept"
"${models[@]}" >"$work/out" 2>"$work/err" &
pid=$!
until [ "$(grep -c variant "$kept" 2>/dev/null)" -ge 3 ] 2>/dev/null || [ ! -d "/proc/$pid" ]; do
    read -r -t 0.1 <><(:)
done
kill -s INT "$pid"
wait "$pid"
got=$?
[ "$got" -eq 130 ] || fail "exit status $got, not 130"
grep -q "the same command goes on" "$work/err" || fail "it does not say how to go on"
printf '{"model":"486-v1","vari' >>"$kept"
before=$(grep -c '"model":"486","variant"' "$kept")
[ "$before" -ge 3 ] || fail "only $before answers about the first model"
expect "models that go on" 0 "" "${models[@]}" --models 486
grep -q "$before answers were kept before" "$work/out" ||
    [ "$before" -eq 4 ] || fail "it does not say that answers were kept"
[ "$(grep -c '"model":"486","variant"' "$kept")" -eq 4 ] || fail "not one answer of each kind"

exit "$failed"
