// Editing of a line on a terminal, by libedit if it is installed (loaded when asked for), else without editing. One thread uses it.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Candidates for the word that ends at the cursor: `line` is the line up to the cursor, `word` the word in it. The answer is one candidate
/// a line, allocated with malloc, or NULL.
typedef char *(*vk_line_complete)(const char *line, const char *word);

/// Prepares editing; false: libedit is missing, lines are read as they are typed.
bool vk_line_open(vk_line_complete complete);
/// Reads a line without its end; the caller frees it. NULL at the end of input, or when a signal came (`*interrupted`).
char *vk_line_read(const char *prompt, bool *interrupted);
/// Adds a text to the history of this session, which keeps the newest 1,000.
void vk_line_remember(const char *text);

#ifdef __cplusplus
}
#endif
