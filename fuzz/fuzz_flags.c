/* Fuzzes the -cpu string as a command line gives it: any bytes. Spec qemu-cpu-flags 2 to 5; the table built from an
 * accepted string is held to what every guest relies on. */
#include <string.h>
#include "fuzz/fuzz_flags.h"
#include "fuzz/target.h"
#include "vmm/cpuid/flags.h"

static void check_message(const struct message *message, size_t size)
{
    if (message->kind >= CPU_ERROR_KINDS)
        fuzz_fail("FLAGS-1", "a message of kind %u", message->kind);
    if (message->at > size)
        fuzz_fail("FLAGS-2", "a message blames byte %u of %zu", message->at, size);
    if (!memchr(message->text, 0, sizeof(message->text)) || !message->text[0])
        fuzz_fail("FLAGS-3", "a message without an end or without words");
}

static void check_messages(const struct cpu_flags *flags, size_t size)
{
    if (flags->error.kind != CPU_OK)
        check_message(&flags->error, size);
    for (uint32_t i = 0; i < messages_kept(&flags->warnings); i++)
        check_message(&flags->warnings.list[i], size);
}

/* An outcome is exactly one of: a model, help, an error about the model's name. */
static void check_outcome(const struct cpu_flags *flags)
{
    if (!flags->model && !flags->help && flags->error.kind == CPU_OK)
        fuzz_fail("FLAGS-4", "no model, no help and no error");
    if (!memchr(flags->type, 0, sizeof(flags->type)))
        fuzz_fail("FLAGS-5", "the type name has no end");
}

/* What is on was asked for, and only bits that have a name can be asked for. */
static void check_words(const struct cpu_flags *flags)
{
    for (unsigned word = 0; word < FEATURE_WORDS; word++) {
        if (!(flags->on[word] | flags->touched[word]))
            continue; /* most words; asking for their names would cost more than the parser */
        if (flags->on[word] & ~flags->touched[word])
            fuzz_fail("FLAGS-6", "word %u has bits on that no item touched: %#llx", word,
                      (unsigned long long)(flags->on[word] & ~flags->touched[word]));
        if (flags->touched[word] & ~feature_named_bits((enum feature_word)word))
            fuzz_fail("FLAGS-7", "word %u was touched at bits without a name: %#llx", word,
                      (unsigned long long)flags->touched[word]);
    }
}

/* Items lie inside the string, in order, and do not overlap. */
static void check_items(const char *text, size_t size)
{
    struct cpu_items items = cpu_items_of(text, size);
    const char *last = text;
    struct cpu_item item;

    for (size_t count = 0; cpu_items_next(&items, &item); count++) {
        const char *end = item.name + item.name_len;

        if (count > size)
            fuzz_fail("FLAGS-8", "more items than bytes");
        if (item.name < last || end > text + size || item.at > size)
            fuzz_fail("FLAGS-9", "an item outside the string");
        last = end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cpu_flags flags; /* large, and rewritten whole by the parser */
    const char *text = (const char *)data;

    cpu_flags_parse(&flags, text, size);
    check_messages(&flags, size);
    check_outcome(&flags);
    check_words(&flags);
    check_items(text, size);
    if (flags.model && flags.error.kind == CPU_OK)
        fuzz_flags_build(&flags);
    return 0;
}
