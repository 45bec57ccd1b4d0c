/* What someone probably meant: the nearest of the known names, if it is near enough to say so. */
#include "base/check.h"
#include "config/field.h"

/* Edits that still look like a slip; short words are too alike for two. */
static unsigned distance_max(size_t size)
{
    return size < 3 ? 0 : size < 5 ? 1 : size < 9 ? 2 : 3;
}

static bool is_same_but_for_signs(struct text a, struct text b)
{
    if (a.size != b.size)
        return false;
    for (size_t i = 0; i < a.size; i++) {
        bool signs = (a.at[i] == '-' || a.at[i] == '_') && (b.at[i] == '-' || b.at[i] == '_');
        if (!signs && char_lower(a.at[i]) != char_lower(b.at[i]))
            return false;
    }
    return true;
}

struct text near_miss(struct text word, const struct text *names, size_t count)
{
    struct text nearest = {NULL, 0};
    unsigned least = distance_max(word.size) + 1;
    for (size_t i = 0; i < count; i++) {
        if (is_same_but_for_signs(word, names[i]))
            return names[i];
        unsigned distance = text_distance(word, names[i], least);
        if (distance < least) {
            least = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
