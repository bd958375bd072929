/* SHA-256 in base64: how a content security policy names the one style and the one script it allows. FIPS 180-4. */
#ifndef DIFF_REPORT_DIGEST_H
#define DIFF_REPORT_DIGEST_H

#include <stddef.h>

#define DIGEST_BASE64_SIZE 45
void digest_sha256_base64(const void *data, size_t length, char base64[DIGEST_BASE64_SIZE]);

#endif
