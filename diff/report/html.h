/* The parts of the page, one function per section. Internal to diff/report. */
#ifndef DIFF_REPORT_HTML_H
#define DIFF_REPORT_HTML_H

#include "diff/report/report.h"

void html_provenance(const struct report *report, struct text *out);
void html_fuzzing(const struct report *report, struct text *out); /* nothing without results */
void html_features(const struct report *report, struct text *out);
void html_differences(const struct report *report, struct text *out);
void html_clock(const struct report *report, struct text *out);
void html_known(const struct report *report, struct text *out);
void html_not_compared(const struct report *report, struct text *out);
void html_scenarios(const struct report *report, struct text *out);

/* page.css and page.js, as built in. */
extern const char page_css[], page_js[];
extern const unsigned page_css_size, page_js_size;

#endif
