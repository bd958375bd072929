# Applies one mutant: reads its lines (-v head=LINE of the mutants file), then the source file, and prints the source mutated.
# Lines are compared without their indentation. Exit 2: the text is not there, or more than once.

function bare(line) { sub(/^[ \t]+/, "", line); return line }

FILENAME == mutants {
    if (FNR <= head)
        next
    if (!/^[-+ ]/)
        over = 1
    if (over)
        next
    if (!/^\+/)
        before[++befores] = bare(substr($0, 2))
    if (!/^-/)
        after[++afters] = substr($0, 2)
    next
}

{ source[++sources] = $0 }

END {
    for (at = 1; at + befores - 1 <= sources; at++) {
        for (i = 1; i <= befores && bare(source[at + i - 1]) == before[i]; i++)
            ;
        if (i > befores) {
            found++
            place = at
        }
    }
    if (befores == 0 || found != 1)
        exit 2
    for (at = 1; at < place; at++)
        print source[at]
    for (i = 1; i <= afters; i++)
        print after[i]
    for (at = place + befores; at <= sources; at++)
        print source[at]
}
