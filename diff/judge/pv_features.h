/* What a run shows about each paravirtual feature: advertised, accepted, effective, closed when enforced.
 * Advertised is not usable, and only what was seen is said. spec 0.1; QEMU's names: qemu-cpu-flags 7.1. */
#ifndef DIFF_JUDGE_PV_FEATURES_H
#define DIFF_JUDGE_PV_FEATURES_H

#include "diff/judge/judge.h"

enum feature_level {
    LEVEL_ADVERTISED, /* its CPUID bit is set, in a KVM leaf with KVM's signature */
    LEVEL_ACCEPTED,   /* its MSR or hypercall answered */
    LEVEL_EFFECTIVE,  /* and did something that the guest saw */
    LEVEL_CLOSED,     /* enforced and not advertised: every access was refused */
    FEATURE_LEVELS
};
extern const char *const feature_level_names[FEATURE_LEVELS];

enum feature_answer {
    ANSWER_NOT_TRIED, /* no program of this run asks */
    ANSWER_NO,
    ANSWER_YES,
    ANSWER_INVISIBLE,   /* by design nothing that a guest could see */
    ANSWER_NOT_APPLIES, /* closed: where nothing enforces, or where the feature is advertised */
};
static inline bool feature_decided(enum feature_answer answer)
{
    return answer == ANSWER_YES || answer == ANSWER_NO;
}

enum feature_effect {
    EFFECT_INVISIBLE,
    EFFECT_CLOCK,    /* a sampled record has a multiplier */
    EFFECT_STABLE,   /* and the stable flag */
    EFFECT_STEAL,    /* the record's version moved */
    EFFECT_APF,      /* a token appeared in the area */
    EFFECT_APF_INT,  /* the chosen vector arrived */
    EFFECT_EOI,      /* a handler found the bit set */
    EFFECT_IPI,      /* the sent vector arrived */
    EFFECT_UNHALT,   /* a halt ended without an interrupt */
    EFFECT_FLUSH,    /* after a flush request a vCPU read through the page table as it is now */
    EFFECT_EXT_DEST, /* an MSI with extended id bits went elsewhere than the same without */
};

struct pv_feature {
    const char *name;
    uint32_t eax, edx;  /* its bits in the feature leaf */
    uint32_t msrs[4];   /* zero-terminated where shorter */
    uint32_t hypercall; /* 0: none */
    uint8_t effect;     /* enum feature_effect */
    const char *unseen; /* why its effect cannot be seen, always or where it is closed */
};
#define PV_FEATURES 15
extern const struct pv_feature pv_features[PV_FEATURES];

/* What one machine showed under one flag set; programs add to it, any order. */
struct feature_facts {
    struct {
        bool advertised, leaf_seen;
        uint32_t tries, served;
        bool effect_tried, effect_seen;
    } of[PV_FEATURES];
};
void features_observe(const struct judge_case *judged, const struct transcript *transcript,
                      struct feature_facts *facts);
enum feature_answer feature_answer(const struct feature_facts *facts, unsigned feature,
                                   enum feature_level level, bool enforced);
/* Why there is no yes or no: "cannot be seen: ...", "does not apply: ...", "not tried: ...". */
const char *feature_reason(unsigned feature, enum feature_level level, enum feature_answer answer,
                           bool enforced);

#endif
