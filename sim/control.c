/*
 * sim/control.c - see sim/control.h.
 */
#include "sim/control.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CONTROL_BACKLOG 64
#define CONTROL_PATIENCE_S 120 /* a TPM command under load, and more */
#define CONTROL_FOUND_MAX 256  /* sockets looked at in the folder */

int control_directory(char* path, size_t size, char* why, size_t why_size) {
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  int used;

  if (runtime != NULL && runtime[0] == '/')
    used = snprintf(path, size, "%s/evsm", runtime);
  else
    used = snprintf(path, size, "/tmp/evsm-%u", (unsigned) getuid());
  if (used < 0 || (size_t) used >= size) {
    snprintf(why, why_size, "XDG_RUNTIME_DIR is too long; give --control");
    return -1;
  }

  if (mkdir(path, 0700) != 0 && errno != EEXIST) {
    snprintf(why, why_size, "can't make %s: %s; give --control", path,
             strerror(errno));
    return -1;
  }
  struct stat st;
  if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid() ||
      (st.st_mode & 077) != 0) {
    snprintf(why, why_size,
             "%s is not a folder of yours alone (mode 0700);"
             " remove it, or give --control",
             path);
    return -1;
  }
  return 0;
}


static int address_set(struct sockaddr_un* address, const char* path) {
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof(address->sun_path))
    return -ENAMETOOLONG;
  memcpy(address->sun_path, path, strlen(path));
  return 0;
}


/* Returns a descriptor or a negative errno. */
static int socket_connect(const char* path) {
  struct sockaddr_un address;
  int err = address_set(&address, path);
  if (err != 0)
    return err;

  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return -errno;
  /* One that is stopped takes our connection, and never answers. */
  const struct timeval patience = {.tv_sec = CONTROL_PATIENCE_S};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(fd, (struct sockaddr*) &address, sizeof(address)) != 0) {
    err = -errno;
    close(fd);
    return err;
  }
  return fd;
}


/* What stands at `path`, and may it go? True if there is nothing left. */
static bool leftover_remove(const char* path) {
  struct stat st;
  if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
    return false;

  int fd = socket_connect(path);
  if (fd >= 0)
    close(fd);
  return fd == -ECONNREFUSED && unlink(path) == 0;
}


int control_listen(const char* path, char* why, size_t why_size) {
  struct sockaddr_un address;
  if (address_set(&address, path) != 0) {
    snprintf(why, why_size,
             "the path of --control is too long (at most %zu"
             " bytes)",
             sizeof(address.sun_path) - 1);
    return -1;
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    snprintf(why, why_size, "can't make a socket: %s", strerror(errno));
    return -1;
  }

  mode_t before = umask(0177); /* the socket is its user's alone */
  int err = bind(fd, (struct sockaddr*) &address, sizeof(address));
  if (err != 0 && errno == EADDRINUSE && leftover_remove(path))
    err = bind(fd, (struct sockaddr*) &address, sizeof(address));
  umask(before);
  if (err == 0)
    err = listen(fd, CONTROL_BACKLOG);
  if (err == 0)
    return fd;

  snprintf(why, why_size, "can't listen on %s: %s; give another --control",
           path, strerror(errno));
  close(fd);
  return -1;
}


typedef struct {
  char path[CONTROL_PATH_SIZE];
  struct timespec made;
} found_t;

static int found_newest_first(const void* a, const void* b) {
  const struct timespec* x = &((const found_t*) a)->made;
  const struct timespec* y = &((const found_t*) b)->made;

  if (x->tv_sec != y->tv_sec)
    return x->tv_sec < y->tv_sec ? 1 : -1;
  if (x->tv_nsec != y->tv_nsec)
    return x->tv_nsec < y->tv_nsec ? 1 : -1;
  return 0;
}


/* The sockets in `directory`. Returns how many; *list is the caller's. */
static size_t sockets_find(const char* directory, found_t** list) {
  *list = calloc(CONTROL_FOUND_MAX, sizeof(**list));
  DIR* dir = opendir(directory);
  size_t count = 0;

  if (*list == NULL || dir == NULL)
    goto out;
  for (struct dirent* entry = readdir(dir);
       entry != NULL && count < CONTROL_FOUND_MAX; entry = readdir(dir)) {
    found_t* found = &(*list)[count];
    struct stat st;
    int used = snprintf(found->path, sizeof(found->path), "%s/%s", directory,
                        entry->d_name);
    if (used < 0 || (size_t) used >= sizeof(found->path))
      continue;
    if (lstat(found->path, &st) != 0 || !S_ISSOCK(st.st_mode))
      continue;
    found->made = st.st_ctim;
    count++;
  }
  if (count > 0)
    qsort(*list, count, sizeof(**list), found_newest_first);

out:
  if (dir != NULL)
    closedir(dir);
  return count;
}


static int connect_newest(const char* who) {
  char directory[CONTROL_PATH_SIZE];
  char why[256];
  if (control_directory(directory, sizeof(directory), why, sizeof(why)) != 0) {
    fprintf(stderr, "%s: %s\n", who, why);
    return -1;
  }

  found_t* list;
  size_t count = sockets_find(directory, &list);
  int fd = -1;
  for (size_t i = 0; i < count && fd < 0; i++)
    fd = socket_connect(list[i].path);
  free(list);
  if (fd < 0)
    fprintf(stderr,
            "%s: no evsm of yours is running; start one with 'evsm"
            " run', or name its socket with --control\n",
            who);
  return fd < 0 ? -1 : fd;
}


int control_connect(const char* who, const char* path) {
  if (path == NULL)
    return connect_newest(who);

  int fd = socket_connect(path);
  if (fd >= 0)
    return fd;
  fprintf(stderr,
          "%s: nobody answers at %s: %s; is it the \"control\" that"
          " 'evsm run' printed?\n",
          who, path, strerror(-fd));
  return -1;
}


static bool send_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t done = send(fd, data, size, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return false;
    data += done;
    size -= (size_t) done;
  }
  return true;
}


/* One line, without its newline; the caller frees it. NULL: none came. */
static char* receive_line(int fd) {
  size_t room = 4096;
  size_t used = 0;
  char* line = malloc(room);

  while (line != NULL) {
    ssize_t done = recv(fd, line + used, room - used, 0);
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      break;
    used += (size_t) done;
    if (line[used - 1] == '\n') { /* we have asked for one answer only */
      line[used - 1] = '\0';
      return line;
    }
    if (used == room) {
      room *= 2;
      char* more = room > CONTROL_ANSWER_SIZE_MAX ? NULL : realloc(line, room);
      if (more == NULL)
        break;
      line = more;
    }
  }
  free(line);
  return NULL;
}


json_object* control_ask(const char* who, int fd, json_object* request) {
  size_t size;
  const char* text =
      json_object_to_json_string_length(request, JSON_C_TO_STRING_PLAIN, &size);
  char* line = NULL;

  if (send_all(fd, text, size) && send_all(fd, "\n", 1))
    line = receive_line(fd);
  if (line == NULL) {
    fprintf(stderr,
            "%s: evsm hung up, or was silent for %d s; does it still run?\n",
            who, CONTROL_PATIENCE_S);
    return NULL;
  }
  json_object* answer = json_tokener_parse(line);
  free(line);

  json_object* ok;
  if (json_object_object_get_ex(answer, "ok", &ok) &&
      json_object_get_boolean(ok))
    return answer;
  const char* error = control_text(answer, "error");
  fprintf(stderr, "%s: %s\n", who,
          error != NULL ? error
                        : "the answer is not evsm's; try another"
                          " --control");
  json_object_put(answer);
  return NULL;
}


bool control_number(json_object* object,
                    const char* name,
                    uint64_t max,
                    uint64_t* number) {
  json_object* value;

  if (!json_object_object_get_ex(object, name, &value) ||
      !json_object_is_type(value, json_type_int))
    return false;
  if (json_object_get_int64(value) < 0)
    return false;
  *number = json_object_get_uint64(value);
  return *number <= max;
}


const char* control_text(json_object* object, const char* name) {
  json_object* value;

  if (!json_object_object_get_ex(object, name, &value) ||
      !json_object_is_type(value, json_type_string))
    return NULL;
  return json_object_get_string(value);
}
