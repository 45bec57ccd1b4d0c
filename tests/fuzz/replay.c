/* Runs a fuzz target over the files of the folders given as arguments, without libFuzzer: every test run replays the corpora.
 *
 * Each file runs as it is and cut short at a few places, in a block of exactly its size, so that AddressSanitizer sees a read
 * past the end. A folder without a file is an error: such a test could not fail. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

enum { CUTS = 16, INPUT_BYTES_MAX = 1 << 24 };

static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *exact = memory_alloc(size);
    if (!exact)
        return;
    if (size)
        memcpy(exact, data, size);
    (void)LLVMFuzzerTestOneInput(exact, size); /* a finding ends the process */
    memory_free(exact);
}

static void run_whole_and_cut(const uint8_t *data, size_t size)
{
    run_copy(data, size);
    size_t before = size;
    for (size_t i = CUTS; i-- > 0;) {
        size_t cut = size * i / CUTS;
        if (cut != before)
            run_copy(data, cut);
        before = cut;
    }
}

static bool run_open_file(FILE *file)
{
    struct stat about;
    if (fstat(fileno(file), &about) || about.st_size > INPUT_BYTES_MAX)
        return false;
    size_t size = (size_t)about.st_size;
    uint8_t *data = memory_alloc(size);
    bool whole = data && fread(data, 1, size, file) == size;
    if (whole)
        run_whole_and_cut(data, size);
    memory_free(data);
    return whole;
}

static bool run_file(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    bool ran = file && run_open_file(file);
    if (!ran)
        fprintf(stderr, "replay: cannot read %s: %s\n", path, strerror(errno));
    if (file)
        fclose(file);
    return ran;
}

/* Files that ran, or -1. */
static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return -1;
    int ran = 0;
    for (struct dirent *entry; ran >= 0 && (entry = readdir(folder));)
        if (entry->d_name[0] != '.')
            ran = run_file(path, entry->d_name) ? ran + 1 : -1;
    closedir(folder);
    return ran;
}

int main(int count, char **arguments)
{
    int total = 0;
    for (int i = 1; i < count; i++) {
        int ran = run_folder(arguments[i]);
        if (ran <= 0) {
            fprintf(stderr, "replay: no inputs in %s\n", arguments[i]);
            return 1;
        }
        total += ran;
    }
    printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
