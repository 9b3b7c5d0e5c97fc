#include "vk_picture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The parts of librsvg's and cairo's stable interfaces that are needed; types are opaque.
typedef struct {
    uint32_t domain;
    int code;
    char *message;
} gerror;
typedef struct {
    double x, y, width, height;
} rectangle;

typedef void *(*new_from_data)(const uint8_t *, size_t, gerror **);
typedef int (*render_document)(void *, void *, const rectangle *, gerror **);
typedef void (*unref)(void *);
typedef void *(*surface_create)(int, int, int);
typedef void *(*context_create)(void *);
typedef int (*status)(void *);
typedef int (*write_png)(void *, int (*)(void *, const unsigned char *, unsigned int), void *);

typedef struct {
    uint8_t *bytes;
    size_t size, room;
} buffer;

static int take(void *closure, const unsigned char *data, unsigned int n) {
    buffer *b = closure;
    if (b->size + n > b->room) {
        size_t room = (b->size + n) * 2;
        uint8_t *bytes = realloc(b->bytes, room);
        if (!bytes) return 1;  // CAIRO_STATUS_NO_MEMORY
        b->bytes = bytes;
        b->room = room;
    }
    memcpy(b->bytes + b->size, data, n);
    b->size += n;
    return 0;
}

static void say(char *error, size_t size, const char *text) {
    if (size) snprintf(error, size, "%s", text);
}

vk_picture_status vk_picture_png(
    const uint8_t *svg, size_t size, int width, int height, uint8_t **png, size_t *png_size, char *error, size_t error_size) {
    *png = NULL;
    *png_size = 0;
    if (width < 1 || height < 1 || width > 16384 || height > 16384) {
        say(error, error_size, "the picture's size is out of range");
        return VK_PICTURE_FAILED;
    }
    // Left open: the libraries keep state of their own.
    void *rsvg = dlopen("librsvg-2.so.2", RTLD_NOW | RTLD_LOCAL);
    void *cairo = rsvg ? dlopen("libcairo.so.2", RTLD_NOW | RTLD_LOCAL) : NULL;
    void *gobject = cairo ? dlopen("libgobject-2.0.so.0", RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!gobject) {
        const char *why = dlerror();
        say(error, error_size, why ? why : "librsvg is missing");
        return VK_PICTURE_MISSING;
    }
    new_from_data make = (new_from_data)dlsym(rsvg, "rsvg_handle_new_from_data");
    render_document render = (render_document)dlsym(rsvg, "rsvg_handle_render_document");
    unref release = (unref)dlsym(gobject, "g_object_unref");
    surface_create new_surface = (surface_create)dlsym(cairo, "cairo_image_surface_create");
    context_create new_context = (context_create)dlsym(cairo, "cairo_create");
    status context_status = (status)dlsym(cairo, "cairo_status");
    unref free_context = (unref)dlsym(cairo, "cairo_destroy");
    unref free_surface = (unref)dlsym(cairo, "cairo_surface_destroy");
    write_png write = (write_png)dlsym(cairo, "cairo_surface_write_to_png_stream");
    if (!make || !render || !release || !new_surface || !new_context || !context_status || !free_context || !free_surface || !write) {
        say(error, error_size, "librsvg is older than 2.46");
        return VK_PICTURE_MISSING;
    }
    gerror *failure = NULL;
    void *handle = make(svg, size, &failure);
    if (!handle) {
        say(error, error_size, failure && failure->message ? failure->message : "the document cannot be read");
        return VK_PICTURE_FAILED;
    }
    vk_picture_status result = VK_PICTURE_FAILED;
    void *surface = new_surface(0, width, height);  // CAIRO_FORMAT_ARGB32
    void *context = new_context(surface);
    buffer out = {0};
    rectangle area = {0, 0, width, height};
    if (context_status(context) != 0) {
        say(error, error_size, "there is no memory for the picture");
        result = VK_PICTURE_MEMORY;
    } else if (!render(handle, context, &area, &failure)) {
        say(error, error_size, failure && failure->message ? failure->message : "the document cannot be drawn");
    } else if (write(surface, take, &out) != 0) {
        say(error, error_size, "the picture cannot be written");
        result = VK_PICTURE_MEMORY;
    } else {
        *png = out.bytes;
        *png_size = out.size;
        out.bytes = NULL;
        result = VK_PICTURE_OK;
    }
    free(out.bytes);
    free_context(context);
    free_surface(surface);
    release(handle);
    return result;
}

void vk_picture_free(uint8_t *png) { free(png); }
