/* The table of byte classes, computed by the compiler from the grammars. */
#include "http/chars.h"

#define IN(c, low, high)  ((c) >= (low) && (c) <= (high))
#define IS_UPPER(c)       IN(c, 'A', 'Z')
#define IS_ALNUM(c)       (IS_UPPER(c) || IN(c, 'a', 'z') || IN(c, '0', '9'))
#define IS_UNRESERVED(c)  (IS_ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define IS_SUB_DELIM_1(c) ((c) == '!' || (c) == '$' || (c) == '&' || (c) == '\'' || (c) == '(' || (c) == ')')
#define IS_SUB_DELIM_2(c) ((c) == '*' || (c) == '+' || (c) == ',' || (c) == ';' || (c) == '=')
#define IS_SUB_DELIM(c)   (IS_SUB_DELIM_1(c) || IS_SUB_DELIM_2(c))
#define IS_PATH(c)        (IS_UNRESERVED(c) || IS_SUB_DELIM(c) || (c) == ':' || (c) == '@')
#define IS_VISIBLE(c)     IN(c, 0x21, 0x7e)
#define IS_QUERY(c)       (IS_VISIBLE(c) && (c) != '#')
#define IS_VALUE(c)       ((c) == '\t' || (c) == ' ' || IS_VISIBLE(c) || (c) >= 0x80)

/* Visible bytes that no token has (RFC 9110 section 5.6.2, delimiters). */
#define IS_DELIMITER_1(c)                                                                                    \
    ((c) == '"' || (c) == '(' || (c) == ')' || (c) == ',' || (c) == '/' || IN(c, ':', '@'))
#define IS_DELIMITER_2(c) (IN(c, '[', ']') || (c) == '{' || (c) == '}')
#define IS_TOKEN(c)       (IS_VISIBLE(c) && !IS_DELIMITER_1(c) && !IS_DELIMITER_2(c))

#define CLASSES(c)                                                                                           \
    ((IS_TOKEN(c) ? CHAR_TOKEN : 0) | (IS_VALUE(c) ? CHAR_VALUE : 0) | (IS_PATH(c) ? CHAR_PATH : 0)          \
     | (IS_QUERY(c) ? CHAR_QUERY : 0) | (IS_UNRESERVED(c) ? CHAR_UNRESERVED | CHAR_HOST : 0)                 \
     | (IS_UPPER(c) ? CHAR_UPPER : 0) | ((c) == '.' ? CHAR_DOT : 0))
#define CLASSES_4(c)  CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define CLASSES_16(c) CLASSES_4(c), CLASSES_4((c) + 4), CLASSES_4((c) + 8), CLASSES_4((c) + 12)
#define CLASSES_64(c) CLASSES_16(c), CLASSES_16((c) + 16), CLASSES_16((c) + 32), CLASSES_16((c) + 48)

const uint8_t char_classes[256] = {CLASSES_64(0), CLASSES_64(64), CLASSES_64(128), CLASSES_64(192)};
