#include "vk_fetch.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

static int is_public_v4(uint32_t a) {
    // Host byte order. IANA's special-purpose registry.
    static const struct {
        uint32_t net;
        int bits;
    } special[] = {
        {0x00000000, 8},  {0x0A000000, 8},  {0x64400000, 10}, {0x7F000000, 8},  {0xA9FE0000, 16}, {0xAC100000, 12}, {0xC0000000, 24},
        {0xC0000200, 24}, {0xC0586300, 24}, {0xC0A80000, 16}, {0xC6120000, 15}, {0xC6336400, 24}, {0xCB007100, 24}, {0xE0000000, 3},
    };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
        if ((a >> (32 - special[i].bits)) == (special[i].net >> (32 - special[i].bits))) return 0;
    return 1;
}

static int is_public_v6(const uint8_t *b) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    uint32_t last = ((uint32_t)b[12] << 24) | ((uint32_t)b[13] << 16) | ((uint32_t)b[14] << 8) | b[15];
    if (memcmp(b, mapped, 12) == 0) return is_public_v4(last);
    // NAT64 (64:ff9b::/96) and 6to4 (2002::/16) carry an IPv4 address.
    if (b[0] == 0 && b[1] == 0x64 && b[2] == 0xFF && b[3] == 0x9B) return b[4] == 0 && b[5] == 0 ? is_public_v4(last) : 0;
    if (b[0] == 0x20 && b[1] == 0x02)
        return is_public_v4(((uint32_t)b[2] << 24) | ((uint32_t)b[3] << 16) | ((uint32_t)b[4] << 8) | b[5]);
    // Teredo and the other special blocks of 2001::/23, documentation.
    if (b[0] == 0x20 && b[1] == 0x01 && (b[2] < 0x02 || (b[2] == 0x0D && b[3] == 0xB8))) return 0;
    // Only 2000::/3 is global unicast.
    return (b[0] & 0xE0) == 0x20;
}

int vk_is_public_address(const char *text) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1) return is_public_v4(ntohl(v4.s_addr));
    if (inet_pton(AF_INET6, text, &v6) == 1) return is_public_v6(v6.s6_addr);
    return 0;
}

typedef struct {
    vk_fetch_result *result;
    const vk_fetch_options *options;
    size_t capacity;
} transfer;

// Looks at the address that the name was resolved to, right before it is connected to: a second answer of the name server cannot slip by.
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    transfer *t = context;
    (void)purpose;
    int is_public = 0;
    if (address->family == AF_INET)
        is_public = is_public_v4(ntohl(((const struct sockaddr_in *)&address->addr)->sin_addr.s_addr));
    else if (address->family == AF_INET6)
        is_public = is_public_v6(((const struct sockaddr_in6 *)&address->addr)->sin6_addr.s6_addr);
    if (!is_public && !t->options->allow_private) {
        t->result->outcome = VK_FETCH_PRIVATE;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t take(char *data, size_t size, size_t count, void *context) {
    transfer *t = context;
    size_t n = size * count;
    if (n > t->options->maximum_bytes - t->result->length) {
        t->result->outcome = VK_FETCH_TOO_LARGE;
        return 0;
    }
    if (t->result->length + n > t->capacity) {
        size_t wanted = t->capacity ? t->capacity : 65536;
        while (wanted < t->result->length + n) wanted *= 2;
        uint8_t *grown = realloc(t->result->body, wanted);
        if (!grown) return 0;
        t->result->body = grown;
        t->capacity = wanted;
    }
    memcpy(t->result->body + t->result->length, data, n);
    t->result->length += n;
    return n;
}

// Loaded for the first transfer: libcurl brings two dozen libraries, which no other start should wait for.
static struct {
    CURLcode (*global_init)(long);
    CURL *(*init)(void);
    CURLcode (*setopt)(CURL *, CURLoption, ...);
    CURLcode (*perform)(CURL *);
    CURLcode (*getinfo)(CURL *, CURLINFO, ...);
    const char *(*strerror)(CURLcode);
    void (*cleanup)(CURL *);
} curl;
static int is_loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void start(void) {
    // Left open: the library keeps state of its own.
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    curl.global_init = (CURLcode(*)(long))dlsym(library, "curl_global_init");
    curl.init = (CURL * (*)(void)) dlsym(library, "curl_easy_init");
    curl.setopt = (CURLcode(*)(CURL *, CURLoption, ...))dlsym(library, "curl_easy_setopt");
    curl.perform = (CURLcode(*)(CURL *))dlsym(library, "curl_easy_perform");
    curl.getinfo = (CURLcode(*)(CURL *, CURLINFO, ...))dlsym(library, "curl_easy_getinfo");
    curl.strerror = (const char *(*)(CURLcode))dlsym(library, "curl_easy_strerror");
    curl.cleanup = (void (*)(CURL *))dlsym(library, "curl_easy_cleanup");
    if (!curl.global_init || !curl.init || !curl.setopt || !curl.perform || !curl.getinfo || !curl.strerror || !curl.cleanup) return;
    is_loaded = curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void vk_fetch(const char *url, const vk_fetch_options *options, vk_fetch_result *result) {
    memset(result, 0, sizeof *result);
    result->outcome = VK_FETCH_FAILED;
    pthread_once(&once, start);
    CURL *c = is_loaded ? curl.init() : NULL;
    if (!c) {
        const char *why = is_loaded ? "libcurl cannot be started" : "libcurl cannot be loaded; its package is libcurl4";
        strncpy(result->error, why, sizeof result->error - 1);
        return;
    }
    transfer t = {result, options, 0};
    char message[CURL_ERROR_SIZE] = "";
    curl.setopt(c, CURLOPT_URL, url);
    curl.setopt(c, CURLOPT_ERRORBUFFER, message);
    curl.setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl.setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl.setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl.setopt(c, CURLOPT_TIMEOUT_MS, options->timeout_ms);
    curl.setopt(c, CURLOPT_CONNECTTIMEOUT_MS, options->connect_timeout_ms);
    curl.setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl.setopt(c, CURLOPT_OPENSOCKETDATA, &t);
    curl.setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl.setopt(c, CURLOPT_WRITEDATA, &t);
    curl.setopt(c, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl.setopt(c, CURLOPT_USERAGENT, "vedette");
    // A proxy of the environment would connect in our stead, past the look at the address.
    curl.setopt(c, CURLOPT_PROXY, "");
    curl.setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    CURLcode code = curl.perform(c);
    curl.getinfo(c, CURLINFO_RESPONSE_CODE, &result->status);
    char *location = NULL;
    if (curl.getinfo(c, CURLINFO_REDIRECT_URL, &location) == CURLE_OK && location)
        strncpy(result->location, location, sizeof result->location - 1);
    if (code == CURLE_OK) {
        result->outcome = VK_FETCH_OK;
    } else if (result->outcome != VK_FETCH_TOO_LARGE && result->outcome != VK_FETCH_PRIVATE) {
        strncpy(result->error, message[0] ? message : curl.strerror(code), sizeof result->error - 1);
    }
    curl.cleanup(c);
}

void vk_fetch_free(vk_fetch_result *result) {
    free(result->body);
    result->body = NULL;
    result->length = 0;
}

int vk_gunzip(const uint8_t *data, size_t length, size_t maximum_bytes, uint8_t **out, size_t *out_length) {
    *out = NULL;
    *out_length = 0;
    z_stream z;
    memset(&z, 0, sizeof z);
    if (length > UINT32_MAX || inflateInit2(&z, 15 + 16) != Z_OK) return VK_FETCH_FAILED;
    z.next_in = (Bytef *)data;
    z.avail_in = (uInt)length;
    size_t capacity = 0, used = 0;
    uint8_t *body = NULL;
    int outcome = VK_FETCH_FAILED;
    for (;;) {
        if (used == capacity) {
            if (used > maximum_bytes) {
                outcome = VK_FETCH_TOO_LARGE;
                break;
            }
            size_t wanted = capacity ? capacity * 2 : 65536;
            if (wanted > maximum_bytes + 1) wanted = maximum_bytes + 1;
            uint8_t *grown = realloc(body, wanted);
            if (!grown) break;
            body = grown;
            capacity = wanted;
        }
        size_t room = capacity - used;
        if (room > 1u << 30) room = 1u << 30;
        z.next_out = body + used;
        z.avail_out = (uInt)room;
        int code = inflate(&z, Z_NO_FLUSH);
        used += room - z.avail_out;
        if (code == Z_STREAM_END) {
            if (z.avail_in == 0) {
                outcome = used > maximum_bytes ? VK_FETCH_TOO_LARGE : VK_FETCH_OK;
                break;
            }
            if (inflateReset(&z) != Z_OK) break;
        } else if (code != Z_OK) {
            break;
        }
    }
    inflateEnd(&z);
    if (outcome == VK_FETCH_OK) {
        *out = body;
        *out_length = used;
    } else {
        free(body);
    }
    return outcome;
}
