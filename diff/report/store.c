/* Runs in SQLite: one transaction per run, so a full disk or a kill leaves the store as it was. */
#include "diff/report/store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "diff/report/machine_json.h"

#define STORE_VERSION 3

struct store {
    sqlite3 *db;
};

/* What makes a store of version n one of version n + 1; an empty file has version 0. */
static const char *const steps[STORE_VERSION] = {
    "CREATE TABLE run(id INTEGER PRIMARY KEY AUTOINCREMENT, created TEXT NOT NULL, version TEXT NOT NULL,"
    " reference TEXT NOT NULL, recording TEXT NOT NULL, known TEXT NOT NULL, ours TEXT NOT NULL, theirs TEXT NOT NULL);"
    "CREATE TABLE scenario(run INTEGER, n INTEGER, name TEXT, text TEXT, PRIMARY KEY(run, n));"
    "CREATE TABLE flag_set(run INTEGER, n INTEGER, name TEXT, cpu TEXT, machine TEXT, smp TEXT,"
    " memory TEXT, only_scenarios TEXT, PRIMARY KEY(run, n));"
    "CREATE TABLE side(run INTEGER, flag_set INTEGER, theirs INTEGER, error TEXT, refused INTEGER,"
    " command_line TEXT, warnings TEXT, PRIMARY KEY(run, flag_set, theirs));"
    "CREATE TABLE transcript(run INTEGER, flag_set INTEGER, theirs INTEGER, scenario INTEGER, bytes BLOB,"
    " PRIMARY KEY(run, flag_set, theirs, scenario));"
    "CREATE TABLE difference(fingerprint TEXT, run INTEGER, PRIMARY KEY(fingerprint, run));",
    /* where scenarios were read from, and fuzzing results */
    ("ALTER TABLE scenario ADD COLUMN file TEXT NOT NULL DEFAULT '';"
     "CREATE TABLE fuzzing(run INTEGER PRIMARY KEY, results TEXT NOT NULL);"),
    /* a box that replaces a lost one measures another TSC rate */
    "ALTER TABLE side ADD COLUMN tsc_khz INTEGER NOT NULL DEFAULT 0;",
};

bool store_default_path(char *path, size_t size)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (data && *data == '/')
        return snprintf(path, size, "%s/paravane/runs.db", data) < (int)size;
    return home && *home && snprintf(path, size, "%s/.local/share/paravane/runs.db", home) < (int)size;
}

static void make_parents(const char *path)
{
    char folder[4096];

    snprintf(folder, sizeof(folder), "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(folder, 0777); /* what is wrong with it shows when the file is opened */
        *slash = '/';
    }
}

/* SQLite's result as -errno, with the words for people. */
static int store_error(sqlite3 *db, const char *path, char why[240])
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;

    switch (code & 0xff) {
    case SQLITE_FULL:
        snprintf(why, 240, "no space left for the run store: free some, or name another file with --store");
        return -ENOSPC;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        snprintf(why, 240, "%.120s is no run store, or a damaged one", path ? path : "the file");
        return -EINVAL;
    case SQLITE_NOMEM:
        snprintf(why, 240, "out of memory");
        return -ENOMEM;
    default:
        snprintf(why, 240, "run store %.120s: %.80s", path ? path : "", db ? sqlite3_errmsg(db) : "?");
        return -EIO;
    }
}

static int read_version(struct store *store, int *version)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
        return -EIO;
    *version = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : 0;
    sqlite3_finalize(statement);
    return 0;
}

static int run_step(struct store *store, int version)
{
    char set_version[60];

    snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", version + 1);
    return sqlite3_exec(store->db, steps[version], NULL, NULL, NULL) == SQLITE_OK &&
                   sqlite3_exec(store->db, set_version, NULL, NULL, NULL) == SQLITE_OK
               ? 0
               : -EIO;
}

/* Brings an empty file or an older store to our version, all or nothing; another process may do so at the same time. */
static int upgrade(struct store *store, const char *path, char why[240])
{
    int version = 0, err = read_version(store, &version);

    if (!err && version == STORE_VERSION)
        return 0;
    if (!err && sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        err = -EIO;
    if (!err)
        err = read_version(store, &version);
    if (!err && (version < 0 || version > STORE_VERSION)) {
        snprintf(why, 240, "%.120s was written by a newer paravane (store version %d)", path, version);
        return -EINVAL;
    }
    for (; !err && version < STORE_VERSION; version++)
        err = run_step(store, version);
    if (!err && sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        err = -EIO;
    return err ? store_error(store->db, path, why) : 0;
}

int store_open(struct store **out, const char *path, bool create, char why[240])
{
    int flags = create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READWRITE;
    struct store *store = calloc(1, sizeof(*store));
    char buf[4096];
    int err = 0;

    *out = NULL;
    if (!store)
        return -ENOMEM;
    if (!path && !store_default_path(buf, sizeof(buf))) {
        snprintf(why, 240, "neither XDG_DATA_HOME nor HOME is set: name the run store with --store FILE");
        free(store);
        return -ENOENT;
    }
    path = path ? path : buf;
    if (create)
        make_parents(path);
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
        err = store_error(store->db, path, why);
        if (!create) {
            snprintf(why, 240, "no run store at %.160s: pv-diff run makes one", path);
            err = -ENOENT;
        }
    }
    if (!err) {
        sqlite3_busy_timeout(store->db, 10000);
        err = upgrade(store, path, why);
    }
    if (err) {
        store_close(store);
        return err;
    }
    *out = store;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    sqlite3_close_v2(store->db);
    free(store);
}

/* Runs one statement with its values: i int64, s text, b blob with its length after it. */
static int execute(struct store *store, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list args;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);

    va_start(args, types);
    for (int i = 0; types[i] && code == SQLITE_OK; i++) {
        if (types[i] == 'i') {
            code = sqlite3_bind_int64(statement, i + 1, va_arg(args, int64_t));
        } else if (types[i] == 's') {
            code = sqlite3_bind_text(statement, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
        } else {
            const void *bytes = va_arg(args, const void *);

            code = sqlite3_bind_blob64(statement, i + 1, bytes, va_arg(args, size_t), SQLITE_STATIC);
        }
    }
    va_end(args);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_OK ? 0 : -EIO;
}

static int save_transcript(struct store *store, int64_t id, unsigned set, bool theirs, unsigned scenario,
                           const struct transcript *transcript)
{
    uint8_t *bytes = NULL;
    size_t length = 0;
    int err = transcript_encode(transcript, &bytes, &length);

    if (!err)
        err = execute(store, "INSERT INTO transcript VALUES(?,?,?,?,?)", "iiiib", id, (int64_t)set,
                      (int64_t)theirs, (int64_t)scenario, bytes, length);
    free(bytes);
    return err;
}

static int save_side(struct store *store, const struct run *run, int64_t id, unsigned set, bool theirs)
{
    const struct run_side *side = theirs ? &run->sets[set].theirs : &run->sets[set].ours;
    int err = execute(store, "INSERT INTO side VALUES(?,?,?,?,?,?,?,?)", "iiisissi", id, (int64_t)set,
                      (int64_t)theirs, side->error, (int64_t)side->refused, side->command_line,
                      side->warnings, (int64_t)side->tsc_khz);

    for (unsigned s = 0; !err && s < run->scenario_count; s++)
        if (side->ran[s])
            err = save_transcript(store, id, set, theirs, s, &side->transcripts[s]);
    return err;
}

static int save_header(struct store *store, const struct run *run)
{
    char *ours = NULL, *theirs = NULL;
    int err = machine_info_to_json(&run->ours, &ours);

    if (!err)
        err = machine_info_to_json(&run->theirs, &theirs);
    if (!err)
        err = execute(store,
                      "INSERT INTO run(created, version, reference, recording, known, ours, theirs)"
                      " VALUES(?,?,?,?,?,?,?)",
                      "sssssss", run->created, run->version, run->reference, run->recording, run->known, ours,
                      theirs);
    free(ours);
    free(theirs);
    return err;
}

static int save_all(struct store *store, const struct run *run, const char *const *different, unsigned count,
                    int64_t *id)
{
    int err = save_header(store, run);

    *id = sqlite3_last_insert_rowid(store->db);
    for (unsigned s = 0; !err && s < run->scenario_count; s++)
        err = execute(store, "INSERT INTO scenario VALUES(?,?,?,?,?)", "iisss", *id, (int64_t)s,
                      run->scenarios[s].name, run->scenarios[s].text, run->scenarios[s].file);
    if (!err && *run->fuzz)
        err = execute(store, "INSERT INTO fuzzing VALUES(?,?)", "is", *id, run->fuzz);
    for (unsigned i = 0; !err && i < run->set_count; i++) {
        const struct run_set *set = &run->sets[i];

        err = execute(store, "INSERT INTO flag_set VALUES(?,?,?,?,?,?,?,?)", "iissssss", *id, (int64_t)i,
                      set->name, set->cpu, set->machine, set->smp, set->memory, set->only);
        if (!err)
            err = save_side(store, run, *id, i, false);
        if (!err)
            err = save_side(store, run, *id, i, true);
    }
    for (unsigned i = 0; !err && i < count; i++)
        err = execute(store, "INSERT OR IGNORE INTO difference VALUES(?,?)", "si", different[i], *id);
    return err;
}

int store_save(struct store *store, struct run *run, const char *const *different, unsigned count,
               char why[240])
{
    int64_t id = 0;
    int err;

    if (sqlite3_exec(store->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return store_error(store->db, NULL, why);
    err = save_all(store, run, different, count, &id);
    if (!err && sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
        err = -EIO;
    if (err) {
        err = err == -ENOMEM ? err : store_error(store->db, NULL, why);
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        return err;
    }
    run->id = (uint64_t)id;
    return 0;
}

static char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return strdup(text ? (const char *)text : "");
}

/* Walks the rows of a query about one run; each callback takes one row. */
static int each_row(struct store *store, const char *sql, int64_t id,
                    int (*row)(struct run *, sqlite3_stmt *), struct run *run)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), err = 0;

    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(statement, 1, id);
    while (code == SQLITE_OK && !err) {
        int step = sqlite3_step(statement);

        if (step == SQLITE_DONE)
            break;
        if (step != SQLITE_ROW)
            code = step;
        else
            err = row(run, statement);
    }
    sqlite3_finalize(statement);
    return err ? err : code == SQLITE_OK ? 0 : -EIO;
}

static int load_header(struct run *run, sqlite3_stmt *row)
{
    char *ours = column_text(row, 6), *theirs = column_text(row, 7);
    int err = ours && theirs ? 0 : -ENOMEM;

    run->id = (uint64_t)sqlite3_column_int64(row, 0);
    run->created = column_text(row, 1);
    run->version = column_text(row, 2);
    run->reference = column_text(row, 3);
    run->recording = column_text(row, 4);
    run->known = column_text(row, 5);
    run->fuzz = strdup(""); /* until its row comes */
    if (!err)
        err = machine_info_from_json(&run->ours, ours);
    if (!err)
        err = machine_info_from_json(&run->theirs, theirs);
    free(ours);
    free(theirs);
    return err;
}

static int load_scenario(struct run *run, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 0),
               *text = (const char *)sqlite3_column_text(row, 1),
               *file = (const char *)sqlite3_column_text(row, 2);
    struct program_error error;

    if (!name || !text || !file || run->scenario_count >= RUN_SCENARIOS_MAX)
        return -EINVAL;
    return run_add_scenario(run, name, file, text, strlen(text), &error);
}

static int load_fuzzing(struct run *run, sqlite3_stmt *row)
{
    free(run->fuzz);
    run->fuzz = column_text(row, 0);
    return run->fuzz ? 0 : -ENOMEM;
}

static int load_set(struct run *run, sqlite3_stmt *row)
{
    const char *texts[6];

    for (int i = 0; i < 6; i++) {
        texts[i] = (const char *)sqlite3_column_text(row, i);
        if (!texts[i])
            return -EINVAL;
    }
    if (run->set_count >= RUN_SETS_MAX)
        return -EINVAL;
    return run_add_set(
        run,
        &(struct flag_set){
            .name = texts[0], .cpu = texts[1], .machine = texts[2], .smp = texts[3], .memory = texts[4]},
        texts[5]);
}

static struct run_side *side_at(struct run *run, sqlite3_stmt *row)
{
    int64_t set = sqlite3_column_int64(row, 0);

    if (set < 0 || set >= run->set_count)
        return NULL;
    return sqlite3_column_int(row, 1) ? &run->sets[set].theirs : &run->sets[set].ours;
}

static int load_side(struct run *run, sqlite3_stmt *row)
{
    struct run_side *side = side_at(run, row);
    char *error;

    if (!side)
        return -EINVAL;
    free(side->command_line);
    free(side->warnings);
    error = column_text(row, 2);
    snprintf(side->error, sizeof(side->error), "%s", error ? error : "");
    free(error);
    side->refused = sqlite3_column_int(row, 3);
    side->command_line = column_text(row, 4);
    side->warnings = column_text(row, 5);
    side->tsc_khz = (uint32_t)sqlite3_column_int64(row, 6);
    return side->command_line && side->warnings ? 0 : -ENOMEM;
}

static int load_transcript(struct run *run, sqlite3_stmt *row)
{
    struct run_side *side = side_at(run, row);
    int64_t scenario = sqlite3_column_int64(row, 2);

    if (!side || scenario < 0 || scenario >= run->scenario_count || side->ran[scenario])
        return -EINVAL;
    side->ran[scenario] = true;
    return transcript_decode(&side->transcripts[scenario], sqlite3_column_blob(row, 3),
                             (size_t)sqlite3_column_bytes(row, 3));
}

static int load_run(struct store *store, int64_t id, struct run *run)
{
    static const struct {
        const char *sql;
        int (*row)(struct run *, sqlite3_stmt *);
    } parts[] = {
        {"SELECT id, created, version, reference, recording, known, ours, theirs FROM run WHERE id = ?",
         load_header},
        {"SELECT name, text, file FROM scenario WHERE run = ? ORDER BY n", load_scenario},
        {"SELECT results FROM fuzzing WHERE run = ?", load_fuzzing},
        {"SELECT name, cpu, machine, smp, memory, only_scenarios FROM flag_set WHERE run = ? ORDER BY n",
         load_set},
        {"SELECT flag_set, theirs, error, refused, command_line, warnings, tsc_khz FROM side WHERE run = ?",
         load_side},
        {"SELECT flag_set, theirs, scenario, bytes FROM transcript WHERE run = ?", load_transcript},
    };
    int err = 0;

    run_init(run);
    for (unsigned i = 0; !err && i < sizeof(parts) / sizeof(parts[0]); i++)
        err = each_row(store, parts[i].sql, id, parts[i].row, run);
    return err;
}

/* The id that a query with one optional number gives; 0: none. */
static int64_t query_id(struct store *store, const char *sql, int64_t number)
{
    sqlite3_stmt *statement = NULL;
    int64_t id = 0;

    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK) {
        if (sqlite3_bind_parameter_count(statement))
            sqlite3_bind_int64(statement, 1, number);
        if (sqlite3_step(statement) == SQLITE_ROW)
            id = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return id;
}

static int load_found(struct store *store, int64_t id, struct run *run, char why[240])
{
    int err = load_run(store, id, run);

    if (err) {
        snprintf(why, 240, "run %" PRId64 " in the store is damaged or was written by another version", id);
        run_free(run);
    }
    return err;
}

int store_load(struct store *store, const char *which, struct run *run, char why[240])
{
    char *end;
    long long number = strtoll(which, &end, 10);
    int64_t id;

    if (!strcmp(which, "last"))
        id = query_id(store, "SELECT max(id) FROM run", 0);
    else if (*which && !*end)
        id = query_id(store, "SELECT id FROM run WHERE id = ?", number);
    else
        id = 0;
    if (!id) {
        int64_t last = query_id(store, "SELECT max(id) FROM run", 0);

        if (last)
            snprintf(why, 240, "no run '%.40s': write a number up to %" PRId64 ", or last", which, last);
        else
            snprintf(why, 240, "the run store is empty: pv-diff run fills it");
        return -ENOENT;
    }
    return load_found(store, id, run, why);
}

int store_load_recording(struct store *store, struct run *run, char why[240])
{
    int64_t id = query_id(store, "SELECT max(id) FROM run WHERE reference LIKE 'qemu-%'", 0);

    if (!id) {
        snprintf(why, 240, "no run against a real machine is recorded here");
        return -ENOENT;
    }
    return load_found(store, id, run, why);
}

uint64_t store_first_seen(struct store *store, const char *fingerprint, uint64_t until)
{
    sqlite3_stmt *statement = NULL;
    uint64_t first = 0;

    if (sqlite3_prepare_v2(store->db, "SELECT min(run) FROM difference WHERE fingerprint = ? AND run <= ?",
                           -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_text(statement, 1, fingerprint, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 2, (int64_t)until);
        if (sqlite3_step(statement) == SQLITE_ROW)
            first = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return first;
}
