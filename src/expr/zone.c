/* The time zones that were read: a table by name that loaders fill under a lock and readers ask without one. */
#include "expr/zone.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "expr/zone_file.h"

#define DATABASE "/usr/share/zoneinfo/"

enum {
    NAME_BYTES_MAX = 64,
    FILE_BYTES_MAX = 256 * 1024,
    SLOTS = 2048,          /* a power of two */
    NAMES_MAX = SLOTS / 2, /* the database has about 600 */
};

/* A name of the database. Several may be of one file. */
struct place {
    const struct zone *zone;
    dev_t device; /* which file: links share their zone */
    ino_t inode;
    size_t size;
    char name[];
};

static _Atomic(const struct place *) places[SLOTS]; /* open addressing; a slot is written once */
static size_t places_count;                         /* below: of the loaders, under the lock */
static bool complete;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint_fast64_t opened;

uint64_t zone_files_opened(void)
{
    return atomic_load_explicit(&opened, memory_order_relaxed);
}

static size_t first_slot(struct text name)
{
    uint32_t hash = 2166136261u; /* FNV-1a: the names are the database's, nobody chooses them to collide */
    for (size_t i = 0; i < name.size; i++)
        hash = (hash ^ (unsigned char)name.at[i]) * 16777619u;
    return hash % SLOTS;
}

/* The slot of a name, or the free one where it would go. There is always a free one. */
static size_t slot_of(struct text name, const struct place **ret_place)
{
    for (size_t slot = first_slot(name);; slot = (slot + 1) % SLOTS) {
        const struct place *place = atomic_load_explicit(&places[slot], memory_order_acquire);
        *ret_place = place;
        if (!place || text_equal((struct text){place->name, place->size}, name))
            return slot;
    }
}

const struct zone *zone_find(struct text name)
{
    const struct place *place;
    if (name.size >= NAME_BYTES_MAX)
        return NULL;
    (void)slot_of(name, &place); /* only who is there counts */
    return place ? place->zone : NULL;
}

/* Only names of the database: no path leaves it. */
static bool name_is_safe(struct text name)
{
    if (!name.size || name.size >= NAME_BYTES_MAX || !char_is_alpha(name.at[0]))
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!char_is_alpha(name.at[i]) && !char_is_digit(name.at[i]) && !memchr("_+-/", name.at[i], 4))
            return false;
    return true;
}

/* The zone of a file that was read under another name. */
static const struct zone *zone_linked(const struct stat *file)
{
    for (size_t i = 0; i < SLOTS; i++) {
        const struct place *place = atomic_load_explicit(&places[i], memory_order_relaxed);
        if (place && place->device == file->st_dev && place->inode == file->st_ino)
            return place->zone;
    }
    return NULL;
}

static int zone_read(int fd, const struct stat *file, const struct zone **ret_zone)
{
    if (file->st_size <= 0 || file->st_size > FILE_BYTES_MAX)
        return -EINVAL;
    unsigned char *bytes = memory_alloc((size_t)file->st_size);
    if (!bytes)
        return -ENOMEM;
    struct zone *zone = NULL;
    ssize_t size = read(fd, bytes, (size_t)file->st_size);
    int code = size == file->st_size ? zone_parse(bytes, (size_t)size, &zone) : -EINVAL;
    *ret_zone = zone;
    memory_free(bytes);
    return code;
}

static int zone_open(struct text name, struct stat *file, const struct zone **ret_zone)
{
    char path[sizeof DATABASE + NAME_BYTES_MAX];
    snprintf(path, sizeof path, DATABASE "%.*s", TEXT_ARGS(name));
    atomic_fetch_add_explicit(&opened, 1, memory_order_relaxed);
    int fd = open(path, O_RDONLY | O_CLOEXEC), code = -EINVAL;
    if (fd >= 0 && fstat(fd, file) == 0 && S_ISREG(file->st_mode)) {
        *ret_zone = zone_linked(file);
        code = *ret_zone ? 0 : zone_read(fd, file, ret_zone);
    }
    if (fd >= 0)
        close(fd);
    return code;
}

/* Under the lock: 0, -ENOMEM, other errors: there is no such zone. */
static int place_add(struct text name, const struct zone **ret_zone)
{
    struct stat file;
    const struct place *known;
    size_t slot = slot_of(name, &known);
    if (known)
        *ret_zone = known->zone;
    if (known || !name_is_safe(name) || places_count == NAMES_MAX)
        return known ? 0 : -ENOENT;
    struct place *place = memory_alloc(sizeof *place + name.size);
    int code = place ? zone_open(name, &file, ret_zone) : -ENOMEM;
    if (code < 0) {
        memory_free(place);
        return code;
    }
    *place =
        (struct place){.zone = *ret_zone, .device = file.st_dev, .inode = file.st_ino, .size = name.size};
    memcpy(place->name, name.at, name.size);
    atomic_store_explicit(&places[slot], place, memory_order_release);
    places_count++;
    return 0;
}

int zone_load(struct text name, const struct zone **ret_zone)
{
    *ret_zone = zone_find(name);
    if (*ret_zone)
        return 0;
    pthread_mutex_lock(&loading);
    int code = place_add(name, ret_zone);
    pthread_mutex_unlock(&loading);
    return code == -EINVAL ? -ENOENT : code;
}

/* Whether a directory of the database holds zones under names of their own: "right" counts leap seconds, "posix" repeats the others. */
static bool is_extra(const char *name)
{
    return name[0] == '.' || !strcmp(name, "posix") || !strcmp(name, "right");
}

/* All zones in a directory of the database; `prefix` is "" or "America/". False: no memory. */
static bool directory_load(const char *prefix, unsigned depth)
{
    char path[sizeof DATABASE + NAME_BYTES_MAX], name[NAME_BYTES_MAX];
    snprintf(path, sizeof path, DATABASE "%s", prefix);
    DIR *directory = opendir(path);
    bool good = directory || errno != ENOMEM;
    for (const struct dirent *entry; good && directory && (entry = readdir(directory));) {
        const struct zone *zone;
        bool is_directory = entry->d_type == DT_DIR;
        size_t size =
            (size_t)snprintf(name, sizeof name, "%s%s%s", prefix, entry->d_name, is_directory ? "/" : "");
        if (size >= sizeof name || is_extra(entry->d_name))
            continue;
        if (is_directory)
            good = depth == 0 || directory_load(name, depth - 1);
        else
            good = place_add(text_of(name), &zone) != -ENOMEM;
    }
    if (directory)
        closedir(directory);
    return good;
}

bool zones_load(void)
{
    enum { DEPTH = 2 }; /* "America/Argentina/Ushuaia" */
    pthread_mutex_lock(&loading);
    if (!complete)
        complete = directory_load("", DEPTH);
    bool good = complete;
    pthread_mutex_unlock(&loading);
    return good;
}

bool zone_parse_fixed(struct text name, int32_t *ret_offset)
{
    bool negative = name.size && name.at[0] == '-';
    struct text t = text_slice(name, name.size && (negative || name.at[0] == '+'), name.size);
    if (t.size != 5 || !char_is_digit(t.at[0]) || !char_is_digit(t.at[1]) || t.at[2] != ':'
        || !char_is_digit(t.at[3]) || !char_is_digit(t.at[4]))
        return false;
    int hours = 10 * (t.at[0] - '0') + t.at[1] - '0', minutes = 10 * (t.at[3] - '0') + t.at[4] - '0';
    *ret_offset = (negative ? -1 : 1) * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

int32_t zone_offset(const struct zone *zone, int64_t seconds)
{
    size_t from = 0, to = zone->count; /* finds the first transition after the instant */
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (transition_time(zone->transitions[middle]) <= seconds)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == zone->count && zone->has_rule)
        return rule_offset(&zone->rule, seconds);
    return from == 0 ? zone->first : transition_offset(zone->transitions[from - 1]);
}
