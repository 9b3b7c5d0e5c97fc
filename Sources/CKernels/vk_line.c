#include "vk_line.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// libedit's interface of readline.
typedef char *(*read_line)(const char *);
typedef int (*add_line)(const char *);
typedef char **(*completion)(const char *, int, int);

static read_line readline_;
static add_line add_history_;
static char **line_buffer_;
static int *point_;
static int *over_;
static vk_line_complete complete_;

static char **candidates(const char *word, int start, int end) {
    (void)start;
    *over_ = 1;  // file names are no use here
    const char *line = line_buffer_ && *line_buffer_ ? *line_buffer_ : "";
    size_t length = strlen(line);
    if ((size_t)end < length) length = (size_t)end;
    char *before = strndup(line, length);
    char *text = before && complete_ ? complete_(before, word) : NULL;
    free(before);
    if (!text || !*text) {
        free(text);
        return NULL;
    }
    size_t n = 1;
    for (const char *p = text; *p; p++) n += *p == '\n';
    char **list = calloc(n + 2, sizeof *list);
    if (!list) {
        free(text);
        return NULL;
    }
    size_t found = 0;
    char *rest = text;
    for (char *one = strsep(&rest, "\n"); one; one = strsep(&rest, "\n")) {
        if (*one && (list[found + 1] = strdup(one))) found++;
    }
    free(text);
    if (found == 0) {
        free(list);
        return NULL;
    }
    // The first entry is what all have in common.
    size_t common = strlen(list[1]);
    for (size_t i = 2; i <= found; i++) {
        size_t k = 0;
        while (k < common && list[i][k] == list[1][k]) k++;
        common = k;
    }
    list[0] = strndup(list[1], common);
    if (!list[0]) list[0] = strdup(word);
    return list;
}

bool vk_line_open(vk_line_complete complete) {
    complete_ = complete;
    void *library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    if (!library) return false;
    readline_ = (read_line)dlsym(library, "readline");
    add_history_ = (add_line)dlsym(library, "add_history");
    line_buffer_ = dlsym(library, "rl_line_buffer");
    point_ = dlsym(library, "rl_point");
    over_ = dlsym(library, "rl_attempted_completion_over");
    completion *attempt = dlsym(library, "rl_attempted_completion_function");
    const char **breaks = dlsym(library, "rl_basic_word_break_characters");
    int *append = dlsym(library, "rl_completion_append_character");
    const char **name = dlsym(library, "rl_readline_name");
    void (*stifle)(int) = (void (*)(int))dlsym(library, "stifle_history");
    int (*initialize)(void) = (int (*)(void))dlsym(library, "rl_initialize");
    int *catches = dlsym(library, "rl_catch_signals");
    if (!readline_ || !add_history_ || !line_buffer_ || !over_ || !attempt || !breaks || !initialize) {
        readline_ = NULL;
        return false;
    }
    if (name) *name = "vedette";
    // Signals are the program's; this is looked at by `rl_initialize` only.
    if (catches) *catches = 0;
    initialize();
    *attempt = candidates;
    *breaks = " \t\n()[]{},=<>!|+-*/%:;\"'";
    if (append) *append = 0;
    if (stifle) stifle(1000);
    return true;
}

char *vk_line_read(const char *prompt, bool *interrupted) {
    *interrupted = false;
    errno = 0;
    if (readline_) {
        char *line = readline_(prompt);
        if (!line && errno == EINTR) *interrupted = true;
        return line;
    }
    fputs(prompt, stdout);
    fflush(stdout);
    char *line = NULL;
    size_t room = 0;
    ssize_t n = getline(&line, &room, stdin);
    if (n < 0) {
        *interrupted = errno == EINTR;
        clearerr(stdin);
        free(line);
        return NULL;
    }
    if (n > 0 && line[n - 1] == '\n') line[n - 1] = 0;
    return line;
}

void vk_line_remember(const char *text) {
    if (add_history_) add_history_(text);
}
