/* Replays the recorded QEMU 7.2 runs: exit status, messages, PV words, CPUID leaves and whatever else their notes record.
 * What is not compared is listed with the reason in vector_compare.c, and held to be exactly that. QEMU flags specification
 * section 18; decision 25. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/vector_compare.h"

#define ARGS_MAX 32

static char *read_file(const char *name, size_t *len)
{
    char path[512];
    FILE *file;
    char *text = malloc(4 << 20);

    snprintf(path, sizeof(path), "%s/%s", TEST_DATA, name);
    file = fopen(path, "rb");
    cr_assert(file != NULL && text != NULL, "%s", path);
    *len = fread(text, 1, (4 << 20) - 1, file);
    text[*len] = 0;
    fclose(file);
    return text;
}

static void replay(const cJSON *vector, const struct cpuid_supported *recorded, struct check *check)
{
    static struct run run;
    static struct cpuid_supported host;
    const char *notes = cJSON_GetObjectItem(vector, "notes")->valuestring;
    char *argv[ARGS_MAX];
    int argc = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(vector, "args"))
    {
        argv[argc++] = item->valuestring;
    }
    host = *recorded;
    cr_assert(apply_overrides(&host, notes), "unknown override: %s", notes);
    run_line(&run, argc, argv, cJSON_GetObjectItem(vector, "accel")->valuestring, &host);
    vector_compare(check, vector, &run);
}

static void name_vector(char name[512], unsigned line, const cJSON *vector)
{
    int used = snprintf(name, 512, "vector %u (%s)", line, cJSON_GetObjectItem(vector, "accel")->valuestring);
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(vector, "args"))
    {
        if (used < 400)
            used += snprintf(name + used, 512 - used, " %.90s", item->valuestring);
    }
}

static void print_excuses(const struct check *check)
{
    for (unsigned i = 0; i < not_compared_count; i++)
        if (check->excused[i])
            fprintf(stderr, "%s: %s is not compared: %s\n", check->name, not_compared[i].part,
                    not_compared[i].reason);
}

static void replay_vector(const char *text, size_t len, unsigned line, const struct cpuid_supported *recorded,
                          unsigned *differ)
{
    char name[512];
    struct check check = {.line = line, .name = name};
    cJSON *vector = cJSON_ParseWithLength(text, len);

    cr_assert(vector != NULL, "line %u", line);
    name_vector(name, line, vector);
    replay(vector, recorded, &check);
    print_excuses(&check);
    *differ += check.failures > 0;
    cJSON_Delete(vector);
}

/* lines: which of them, counted from 0; NULL: all. Returns how many. */
static unsigned replay_vectors(const char *lines)
{
    static struct cpuid_supported recorded;
    size_t len;
    char *text = read_file("qemu-cpu-flags-host.json", &len), why[160];
    unsigned line = 0, replayed = 0, differ = 0;

    cr_assert(supported_from_json(&recorded, text, len, why), "%s", why);
    free(text);
    text = read_file("qemu-cpu-flags-vectors.jsonl", &len);
    for (char *at = text; *at; at += len + 1, line++) {
        len = strcspn(at, "\n");
        if (lines && !lines_have(lines, line))
            continue;
        replay_vector(at, len, line, &recorded, &differ);
        replayed++;
    }
    free(text);
    fprintf(stderr, "%u vectors, %u differ\n", replayed, differ);
    cr_assert(eq(u32, differ, 0));
    return replayed;
}

Test(flag_vectors, section_18_every_vector_gives_what_qemu_gave)
{
    cr_assert(eq(u32, replay_vectors(NULL), 585));
}

/* The vectors that show one rule: command lines whose outcome would be another without it. */
#define VECTORS(rule, lines)                                                                                 \
    Test(flag_vectors, rule##_as_qemu_did)                                                                   \
    {                                                                                                        \
        cr_assert(replay_vectors(lines) > 0);                                                                \
    }
VECTORS(P1, "424")
VECTORS(P2, "45-47")
VECTORS(P3, "430-437 443-445")
VECTORS(P4, "49 243 247")
VECTORS(P5, "238 241-242")
VECTORS(P6, "239-240")
VECTORS(P7, "236-240 245-246 254 428")
VECTORS(P8, "5 39 48 137 161")
VECTORS(G1, "24-27")
VECTORS(G2, "28-31")
VECTORS(G3, "19-23")
VECTORS(G4, "6-8 16-18 47")
VECTORS(G5, "32-37")
VECTORS(G6, "15 38 127")
VECTORS(G7, "1 86 124 131 143")
VECTORS(G8, "42-43 101 122 136 463 473 476 519 560")
VECTORS(G9, "54-56")
VECTORS(G10, "66-68")
VECTORS(G11, "61-62 65 68")
VECTORS(G12, "190-191 195-196 198 465")
VECTORS(G13, "87-88 156-157 175 182 206")
VECTORS(G14, "48 50-52 260-262")
VECTORS(V1, "2-14")
VECTORS(V2, "76-77 96 114 117")
VECTORS(V3, "83-85 89-92 95 174")
VECTORS(V4, "78 93-94 113 120 158-159")
VECTORS(V5, "78 115-120 158-159 170 172-173 177-179")
VECTORS(V6, "79 535")
VECTORS(V7, "151-155")
VECTORS(V8, "136 156 243-244 247")
VECTORS(V9, "133-150 223-235 446-448 451-454")
VECTORS(V11, "447 449-450 456")
VECTORS(R1, "57-63 281-282 415-416 421 461 489 493")
VECTORS(R2, "417-420 422-423 576")
VECTORS(R3, "574 576")
VECTORS(R6, "57 59 244 249-251")
VECTORS(R7, "58 60 63")
VECTORS(R8, "65-69 252-253")
VECTORS(E1, "191-193 427")
VECTORS(E2, "192-194 258 505-506")
VECTORS(E3, "193 248 300-302 311 507 512 571")
VECTORS(E4, "288 350 507")
VECTORS(E5, "194-195 279 290 479 506 517")
VECTORS(E6, "197-198 516-517")
VECTORS(E7, "287 300-305 316 327")
VECTORS(E8, "289 488 500 556 558-559 562")
VECTORS(E9, "107 312 318")
VECTORS(M1, "256 429 458")
VECTORS(M2, "70 286")
VECTORS(M3, "215 222 376 501")
VECTORS(M4, "460 561")
VECTORS(M5, "216 500-501 514-515 530")
VECTORS(M6, "468 562")
VECTORS(M7, "71 218-219 284-285 461 550")
VECTORS(M8, "462 554")
VECTORS(M9, "261 339 427 552")
VECTORS(K1, "459 496-498 558-559")
VECTORS(K2, "458-459 462")
VECTORS(K3, "458 477 502")
VECTORS(K4, "470-471 512-513")
VECTORS(K5, "460 500-501 514-515")
VECTORS(K6, "507-508 510-511")
VECTORS(K7, "467 478 480 488 574")
VECTORS(K8, "458 478-482 485 489-492 574")
VECTORS(K9, "483-484")
VECTORS(K10, "436-442 482 493-495")
VECTORS(K12, "564")
VECTORS(K13, "487-488 569-570")
VECTORS(K14, "518 520")
VECTORS(K15, "563")
VECTORS(K17, "465-466 509 532")
VECTORS(K18, "466")
VECTORS(K20, "264-265 319")
VECTORS(K21, "266-267")
VECTORS(K22, "176 268-269 276-277")
VECTORS(H1, "270 469")
VECTORS(H2, "467")
VECTORS(H3, "523-526 565 567-568")
VECTORS(Y1, "532-535 545 547")
VECTORS(Y2, "533-534 566")
VECTORS(Y3, "532")
VECTORS(Y4, "540-542 545 548-549")
VECTORS(Y5, "536 538 543 546")
VECTORS(S6, "487")
VECTORS(L1, "79-82 97-108 297-299 306-315 320-325 327 351")
VECTORS(L2, "81-82 283")
VECTORS(L3, "102-104 129 132")
VECTORS(L4, "109-111 115 117-118 263 345 347-348")
VECTORS(L5, "325-326 332 337-338 344 554-555")
VECTORS(L6, "332 346-348 372 573")
VECTORS(L7, "341 350 376")
VECTORS(L8, "108 295 311 336")
VECTORS(L9, "333 346-348")
VECTORS(L10, "327 347 351 358")
VECTORS(L11, "293-294 308 355")
VECTORS(L12, "312 320 341")
VECTORS(L13, "72-75 129 132 325-326 343 345")
VECTORS(L14, "326 331-332 338 350")
VECTORS(L15, "72 160 162-163 334 336 342 347")
VECTORS(L16, "162-163 165-169 334-335 551-553")
VECTORS(L17, "303-305 317 351-353")
VECTORS(L18, "202-204 331 340 344 350")
VECTORS(L19, "342-343 378 386")
VECTORS(T1, "384 395 404 409-412")
VECTORS(T2, "387 389-391 403 405-406")
VECTORS(T3, "354 361 572")
VECTORS(T4, "328 382 384-385 392-393 397-402")
VECTORS(T5, "347-348 352 374")
VECTORS(T6, "328-330")
VECTORS(N3, "557")
