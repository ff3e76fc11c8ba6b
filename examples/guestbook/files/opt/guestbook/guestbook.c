/* A guestbook: a web page to sign, whose entries Redis keeps, and a keeper that copies them to a disk.
 *
 *   guestbook web LOCK CONF          serves the page
 *   guestbook keep LOCK CONF BOOK    copies the entries to the file BOOK, one a line
 *   guestbook check LOCK [CONF]      whether it runs, and with CONF whether the page answers
 *   guestbook stop LOCK              ends it and waits for its end
 *
 * Who runs holds LOCK, so no process id is ever remembered. CONF is read anew each time, so that Redis may move.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST = 500, SHOWN = 50, REQUEST = 8192, PATIENCE_S = 2 };

static const char *LIST = "guestbook:entries";

struct conf {
    char listen[64], redis[64], title[128];
    int listen_port, redis_port;
};

static void die(const char *what, const char *on) {
    fprintf(stderr, "%s `%s`: %s\n", what, on, strerror(errno));
    exit(1);
}

static struct conf configured(const char *path) {
    struct conf conf = {0};
    char line[512];
    FILE *file = fopen(path, "r");
    if (!file) die("reading", path);
    while (fgets(line, sizeof line, file)) {
        sscanf(line, "listen %63s %d", conf.listen, &conf.listen_port);
        sscanf(line, "redis %63s %d", conf.redis, &conf.redis_port);
        sscanf(line, "title %127[^\n]", conf.title);
    }
    fclose(file);
    return conf;
}

/* Locks. */

static int lock_file(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) die("opening", path);
    return fd;
}

static void hold(const char *path) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(lock_file(path), F_SETLK, &lock)) die("another one runs, or locking failed:", path);
}

/* The process that holds the lock; 0 for none. */
static pid_t holder(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &lock) || lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

static void stop(const char *path) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = lock_file(path);
    pid_t pid = holder(fd);
    if (pid && kill(pid, SIGTERM) && errno != ESRCH) die("ending what holds", path);
    if (pid && fcntl(fd, F_SETLKW, &lock)) die("waiting for", path);
}

/* Sockets. Nobody who is slow holds us up for long. */

static struct sockaddr_in address(const char *host, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) errno = EINVAL, die("this is no address:", host);
    return to;
}

static void impatient(int fd) {
    struct timeval patience = {.tv_sec = PATIENCE_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

static int dial(const char *host, int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = address(host, port);
    impatient(fd);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) return close(fd), -1;
    return fd;
}

/* Redis: one connection for each command, which is plenty for a guestbook. */

/* Sends a command and gives the stream that its answer comes from, or NULL. */
static FILE *redis(const struct conf *conf, int count, const char *words[]) {
    int fd = *conf->redis ? dial(conf->redis, conf->redis_port) : -1;
    if (fd < 0) return NULL;
    dprintf(fd, "*%d\r\n", count);
    for (int i = 0; i < count; i++) dprintf(fd, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    return fdopen(fd, "r");
}

/* How much of the kind `:` or `*` the answer is about to tell; -1 when it tells something else. */
static long told(FILE *answer, char kind) {
    char line[64];
    return answer && fgets(line, sizeof line, answer) && *line == kind ? atol(line + 1) : -1;
}

static int next_entry(FILE *answer, char entry[LONGEST + 1]) {
    long length = told(answer, '$');
    if (length < 0 || length > LONGEST || fread(entry, 1, length, answer) != (size_t)length) return 0;
    entry[length] = 0;
    return fgetc(answer) == '\r' && fgetc(answer) == '\n';
}

/* The entries from `from` on, counted from the end when negative; how many, or -1. */
static long entries(const struct conf *conf, long from, FILE **answer) {
    char start[24];
    snprintf(start, sizeof start, "%ld", from);
    *answer = redis(conf, 4, (const char *[]){"LRANGE", LIST, start, "-1"});
    return told(*answer, '*');
}

/* The page. */

static void reply(int fd, const char *status, const char *headers, const char *body) {
    dprintf(fd, "HTTP/1.0 %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n%s\r\n%s", status,
            strlen(body), headers, body);
}

static void escaped(FILE *to, const char *text) {
    for (; *text; text++)
        *text == '<' ? fputs("&lt;", to) : *text == '&' ? fputs("&amp;", to) : fputc(*text, to);
}

static void show(int fd, const struct conf *conf) {
    char entry[LONGEST + 1], *body;
    size_t size;
    FILE *answer, *page = open_memstream(&body, &size);
    long count = entries(conf, -SHOWN, &answer);
    fprintf(page, "<!doctype html><title>%s</title><h1>%s</h1>\n<ul>\n", conf->title, conf->title);
    for (long i = 0; i < count && next_entry(answer, entry); i++) {
        fputs("<li>", page);
        escaped(page, entry);
        fputs("</li>\n", page);
    }
    fputs("</ul>\n<form method=post><input name=entry maxlength=150><button>Sign</button></form>\n", page);
    fclose(page);
    if (answer) fclose(answer);
    if (count < 0)
        reply(fd, "503 Service Unavailable", "Retry-After: 1\r\n", "Redis does not answer.\n");
    else
        reply(fd, "200 OK", "", body);
    free(body);
}

/* What `entry=` of a form says, in one line. */
static void decode(const char *form, char entry[LONGEST + 1]) {
    size_t n = 0;
    unsigned byte;
    for (form = strncmp(form, "entry=", 6) ? "" : form + 6; *form && *form != '&' && n < LONGEST; form++) {
        char c = *form == '+' ? ' ' : *form;
        if (c == '%' && sscanf(form + 1, "%2x", &byte) == 1 && form[1] && form[2]) c = (char)byte, form += 2;
        entry[n++] = (unsigned char)c < ' ' ? ' ' : c;
    }
    entry[n] = 0;
}

static void sign(int fd, const struct conf *conf, const char *form) {
    char entry[LONGEST + 1];
    decode(form, entry);
    if (!*entry) {
        reply(fd, "400 Bad Request", "", "Sign with `entry=...`.\n");
        return;
    }
    FILE *answer = redis(conf, 3, (const char *[]){"RPUSH", LIST, entry});
    if (told(answer, ':') < 0)
        reply(fd, "503 Service Unavailable", "Retry-After: 1\r\n", "Redis does not answer.\n");
    else
        reply(fd, "303 See Other", "Location: /\r\n", "");
    if (answer) fclose(answer);
}

/* Reads until the request is whole, or no more comes. Gives its body, or NULL. */
static char *receive(int fd, char request[REQUEST + 1]) {
    size_t have = 0;
    for (;;) {
        ssize_t more = read(fd, request + have, REQUEST - have);
        if (more <= 0) return NULL;
        request[have += more] = 0;
        char *body = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\nContent-Length:");
        if (!body) continue;
        body += 4;
        if (have - (body - request) >= (size_t)(length && length < body ? atol(length + 17) : 0)) return body;
    }
}

static void serve(const char *lock, const char *path) {
    struct conf conf = configured(path);
    struct sockaddr_in here = address(conf.listen, conf.listen_port);
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 64)) die("listening on", conf.listen);
    hold(lock);
    for (;;) {
        char request[REQUEST + 1];
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        impatient(fd);
        char *body = receive(fd, request);
        conf = configured(path);
        if (!body)
            reply(fd, "400 Bad Request", "", "This is no request.\n");
        else if (!strncmp(request, "GET /health ", 12))
            reply(fd, "200 OK", "", "ok\n");
        else if (!strncmp(request, "GET / ", 6))
            show(fd, &conf);
        else if (!strncmp(request, "POST / ", 7))
            sign(fd, &conf, body);
        else
            reply(fd, "404 Not Found", "", "There is only `/`.\n");
        close(fd);
    }
}

static int check(const char *lock, const char *path) {
    char answer[13] = "";
    if (!holder(lock_file(lock))) return 1;
    if (!path) return 0;
    struct conf conf = configured(path);
    int fd = dial(conf.listen, conf.listen_port);
    if (fd < 0 || dprintf(fd, "GET /health HTTP/1.0\r\n\r\n") < 0) return 1;
    return recv(fd, answer, 12, MSG_WAITALL) != 12 || strcmp(answer, "HTTP/1.0 200");
}

/* The keeper. */

/* How many entries the book has. What a crash left of a last line goes. */
static long lines(int book) {
    long count = 0;
    off_t at = 0, end = 0;
    for (char c; pread(book, &c, 1, at++) == 1;)
        if (c == '\n') count++, end = at;
    if (ftruncate(book, end) || lseek(book, end, SEEK_SET) < 0) return -1;
    return count;
}

static void keep(const char *lock, const char *path, const char *to) {
    int book = open(to, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    long kept = book < 0 ? -1 : lines(book);
    if (kept < 0) die("opening the book", to);
    hold(lock);
    for (;; sleep(1)) {
        char entry[LONGEST + 1];
        struct conf conf = configured(path);
        FILE *answer;
        long count = entries(&conf, kept, &answer), copied = 0;
        while (copied < count && next_entry(answer, entry)) {
            if (dprintf(book, "%s\n", entry) < 0) die("writing", to);
            copied++;
        }
        if (answer) fclose(answer);
        if (copied && fsync(book)) die("writing", to);
        kept += copied;
        if (copied) printf("%lld: copied %ld, the book has %ld\n", (long long)time(NULL), copied, kept);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 2 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(what, "web") && argc == 4) serve(argv[2], argv[3]);
    if (!strcmp(what, "keep") && argc == 5) keep(argv[2], argv[3], argv[4]);
    if (!strcmp(what, "check") && argc <= 4) return check(argv[2], argc == 4 ? argv[3] : NULL);
    if (!strcmp(what, "stop") && argc == 3) return stop(argv[2]), 0;
    fprintf(stderr, "usage: %s web LOCK CONF | keep LOCK CONF BOOK | check LOCK [CONF] | stop LOCK\n", *argv);
    return 2;
}
