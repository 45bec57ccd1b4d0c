/* Field names to numbers: a small open hash table over length and three letters, filled before main() from
 * names.def, so that a new name is one line there and nothing here. */
#include "http/names.h"

#include <assert.h>

#include "base/check.h"
#include "http/scan.h"

enum { SLOTS_COUNT = 256, NAME_SIZE_MAX = 31 };

struct name {
    char text[NAME_SIZE_MAX];
    uint8_t size;
};

static const struct name names[NAMES_COUNT] __attribute__((aligned(32))) = {
#define NAME(identifier, text) [NAME_##identifier] = {text, sizeof(text) - 1},
#include "http/names.def"
#undef NAME
};

#define NAME(identifier, text)                                                                               \
    static_assert(sizeof(text) > 1 && sizeof(text) <= NAME_SIZE_MAX, "too long for the table: " text);
#include "http/names.def"
#undef NAME

static_assert(NAMES_COUNT <= SLOTS_COUNT / 2, "the table would fill up");
static_assert(NAMES_COUNT <= UINT8_MAX, "an id fits the byte in struct field_line");

static uint8_t slots[SLOTS_COUNT]; /* enum field_name; NAME_OTHER: free */

static inline unsigned slot_of(const char *at, size_t size)
{
    uint32_t first = (uint8_t)at[0] | 0x20, middle = (uint8_t)at[size / 2] | 0x20;
    uint32_t last = (uint8_t)at[size - 1] | 0x20;
    return ((first | middle << 8 | last << 16 | (uint32_t)size << 24) * 0xf4c37263u) >> 24;
}

__attribute__((constructor)) static void fill_slots(void)
{
    for (unsigned id = 1; id < NAMES_COUNT; id++) {
        unsigned slot = slot_of(names[id].text, names[id].size);
        while (slots[slot] != NAME_OTHER)
            slot = (slot + 1) % SLOTS_COUNT;
        slots[slot] = (uint8_t)id;
    }
}

/* Without case: in a table text only letters have bit 6, and folding by it leaves '-' and digits exact. */
static bool same_name(struct text name, const struct name *known)
{
    if (name.size != known->size)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        char fold = (char)((known->text[i] & 0x40) >> 1);
        if ((name.at[i] | fold) != (known->text[i] | fold))
            return false;
    }
    return true;
}

enum field_name field_name_parse(struct text name)
{
    if (name.size == 0 || name.size > NAME_SIZE_MAX)
        return NAME_OTHER;
    for (unsigned slot = slot_of(name.at, name.size); slots[slot] != NAME_OTHER;
         slot = (slot + 1) % SLOTS_COUNT)
        if (same_name(name, &names[slots[slot]]))
            return (enum field_name)slots[slot];
    return NAME_OTHER;
}

#ifdef __SSE2__
static inline unsigned equal_mask(const char *at, const char *known)
{
    __m128i text = scan_load(known);
    __m128i fold = _mm_srli_epi16(_mm_and_si128(text, _mm_set1_epi8(0x40)), 1);
    __m128i equal = _mm_cmpeq_epi8(_mm_or_si128(scan_load(at), fold), _mm_or_si128(text, fold));
    return (unsigned)_mm_movemask_epi8(equal);
}

/* The same for 32 readable bytes at `at`, of which only `size` matter. */
static inline bool same_name_wide(const char *at, size_t size, const struct name *known)
{
    unsigned equal = equal_mask(at, known->text) | equal_mask(at + 16, known->text + 16) << 16;
    unsigned wanted = (1u << size) - 1;
    return known->size == size && (equal & wanted) == wanted;
}

static inline enum field_name parse_wide(const char *at, size_t size)
{
    unsigned id = slots[slot_of(at, size)];
    if (id == NAME_OTHER || LIKELY(same_name_wide(at, size, &names[id])))
        return (enum field_name)id;
    return field_name_parse((struct text){at, size}); /* the slot is another's */
}

__attribute__((noinline)) static enum field_name parse_copy(struct text name)
{
    char copy[NAME_SIZE_MAX + 1];
    memcpy(copy, name.at, name.size);
    return parse_wide(copy, name.size);
}

enum field_name field_name_parse_within(struct text name, const char *end)
{
    if (UNLIKELY(name.size - 1 >= NAME_SIZE_MAX))
        return NAME_OTHER;
    return LIKELY(end - name.at > NAME_SIZE_MAX) ? parse_wide(name.at, name.size) : parse_copy(name);
}
#else
enum field_name field_name_parse_within(struct text name, const char *end)
{
    (void)end;
    return field_name_parse(name);
}
#endif

struct text field_name_text(enum field_name id)
{
    CHECK(id < NAMES_COUNT);
    return (struct text){names[id].text, names[id].size};
}
