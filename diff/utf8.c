/* UTF-8, read strictly: RFC 3629 knows no surrogates, nothing above U+10FFFF and one form of each character. */
#include "diff/utf8.h"

size_t utf8_decode(const char *s, uint32_t *character)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000}; /* by length */
    const unsigned char first = (unsigned char)*s;
    const size_t length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    uint32_t code = length == 1 ? first : first & (0xffu >> (length + 1));

    if ((first >= 0x80 && first < 0xc2) || first > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | ((unsigned char)s[i] & 0x3f);
    }
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *character = code;
    return length;
}
