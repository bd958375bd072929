# Rules -> tests -> last results. Reads tests/rules first, then test results (.tap), and C and program files that name rules.
# -v check=1: takes lists of tests (--list) instead, and only says what contradicts the table. Exit 1: something is wrong.
#   -v map=NAME as well: prints each rule in the list, with NAME.
# -v failed=RULE: prints nothing; exit 0 if a test that carries the rule failed.

function fail(text) { print text; wrong = 1 }

function known(id, where) {
    if (id in state)
        return 1
    if (check && id !~ /^KB-/) # known bugs of others, by number: no rules
        fail(where ": " id " is not in tests/rules")
    return 0
}

# The rules that a test's name carries, into found[]: CLK_8_..., V2_V4_..., RST_2_and_3_..., and later on ..._and_HC_12_...
function rules_of(name, found,    n, family, id) {
    n = 0
    while (match(name, /^(and_)?([A-Z]+_)?[A-Z]?[0-9]+(_|$)/)) {
        id = substr(name, 1, RLENGTH)
        name = substr(name, RLENGTH + 1)
        sub(/^and_/, "", id)
        sub(/_$/, "", id)
        if (id ~ /^[0-9]/ && (family == "" || n == 0))
            break
        if (id ~ /^[0-9]/)
            id = family id
        sub(/_/, "-", id)
        family = id
        sub(/[0-9]+$/, "", family)
        found[++n] = id
        if (name !~ /^(and_[0-9]|(and_)?[A-Z]+_?[0-9])/)
            break
    }
    while (match(name, /_and_[A-Z][A-Z]+_[0-9]+(_|$)/)) {
        id = substr(name, RSTART + 5, RLENGTH - 5)
        name = substr(name, RSTART + RLENGTH)
        sub(/_$/, "", id)
        sub(/_/, "-", id)
        found[++n] = id
    }
    return n
}

function count_test(name, where, outcome,    i, n, found) {
    n = rules_of(name, found)
    for (i = 1; i <= n; i++) {
        if (!known(found[i], where " " name))
            continue
        tests[found[i]]++
        if (map)
            print found[i], map
        ended[found[i], outcome]++
        if (!((found[i], where) in in_file))
            files[found[i]] = files[found[i]] (files[found[i]] ? ", " : "") where
        in_file[found[i], where]++
    }
}

# Rules that a fuzzed program, a comparison or a scenario is held to.
function count_others(text, pattern, what,    id) {
    while (match(text, pattern)) {
        id = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        gsub(/[^A-Z0-9-]/, "", id)
        if (id in state && index(others[id], what) == 0)
            others[id] = others[id] (others[id] ? " " : "") what
    }
}

FILENAME == rules_file {
    if (/^(#|$)/)
        next
    if ($1 in state)
        fail("tests/rules:" FNR ": " $1 " is there twice")
    if ($2 !~ /^(testable|(hostonly|unconfirmed|unpredictable|not-built):.+)$/ || NF < 3)
        fail("tests/rules:" FNR ": not ID STATE[:WHY] TITLE")
    order[++rules] = $1
    state[$1] = $2
    title[$1] = $0
    sub(/^[^ ]+ +[^ ]+ +/, "", title[$1])
    if (length(title[$1]) > 80)
        fail("tests/rules:" FNR ": the title is longer than 80 characters")
    next
}

check {
    if (/: [0-9]+ tests?$/)
        suite = $1
    else
        count_test($NF, suite, "listed")
    next
}

FILENAME ~ /\.tap$/ && /^(not )?ok - / {
    name = $0
    sub(/^(not )?ok - [^:]*::/, "", name)
    sub(/ .*/, "", name)
    file = FILENAME
    gsub(/.*\/|\.tap$/, "", file)
    count_test(name, file, /^not ok/ ? "failed" : / # SKIP/ ? "skipped" : "passed")
}

FILENAME ~ /mutants\/results$/ {
    if (/\tkilled by /)
        proven[$1]
}

FILENAME ~ /\.c$/ {
    count_others($0, "\"[A-Z]+-?[0-9]+\"", FILENAME ~ /^fuzz/ ? "fuzz" : "judge")
}

FILENAME ~ /\.pv$/ && /^#/ {
    count_others($0, "[A-Z]+-[0-9]+|\\([A-Z][0-9]+\\)", "scenario")
}

function outcome_of(id) {
    return ended[id, "failed"] ? "FAILED" : ended[id, "passed"] ? "passed" : tests[id] ? "skipped" : "no test"
}

function paint(text, code) { return colour ? "\033[" code "m" text "\033[0m" : text }

function row(id, result, count, also, words,    code) {
    code = result == "passed" ? 32 : result == "skipped" ? 33 : result == "FAILED" ? 31 : 1
    printf "%-8s %s %5s  %-19s %s\n", id, paint(sprintf("%-7s", result), code), count, also, words
}

END {
    if (check)
        exit wrong
    if (failed)
        exit !ended[failed, "failed"]
    row("rule", "result", "tests", "also watched by", "title: where")
    for (i = 1; i <= rules; i++) {
        id = order[i]
        if (state[id] == "testable") {
            testable++
            seen_failing += id in proven
            tested += tests[id] > 0
            passed += outcome_of(id) == "passed"
        }
        if (tests[id])
            row(id, outcome_of(id), tests[id], others[id], title[id] ": " files[id])
        wrong = wrong || ended[id, "failed"]
    }
    print "\nWithout a test:"
    for (i = 1; i <= rules; i++) {
        id = order[i]
        if (tests[id])
            continue
        if (state[id] == "testable")
            wrong = 1
        printf "%-8s %s %s%s\n", id,
            state[id] == "testable" ? paint(sprintf("%-40s", "NO TEST"), 31) : sprintf("%-40s", state[id]),
            title[id], others[id] ? " (watched by " others[id] ")" : ""
    }
    printf "\n%d of %d testable rules have a test, %d passed; %d have a test that was seen failing (ci/test --mutants)\n",
        tested, testable, passed, seen_failing
    exit wrong
}
