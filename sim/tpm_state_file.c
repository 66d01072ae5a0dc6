/*
 * sim/tpm_state_file.c - see sim/tpm_state_file.h for the format.
 *
 *   job                         the file's thread
 *   next = state; post work --> write FILE.new, fsync, rename, fsync directory
 *   parked                  <-- uvx_wait_done(status)
 *
 * No CPU waits for the disk: the job parks, and its CPU does other work. Since
 * it is parked, the state that it points at stays as it is, and needs no copy
 * until it is durable.
 */
#include "sim/tpm_state_file.h"

#include "arch/arch.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define TPM_STATE_VERSION 1u
#define TPM_STATE_MAGIC "EVSM-TPM"
#define CRC64_XZ 0xC96C5795D7870F42u /* reflected; the polynomial of xz */

typedef struct {
  uint8_t magic[8];
  uint32_t version;
  uint32_t header_size; /* bytes */
  uint64_t state_size;  /* bytes */
  uint64_t checksum;
} tpm_state_disk_t;

_Static_assert(sizeof(tpm_state_disk_t) == TPM_STATE_HEADER_SIZE, "on disk");
_Static_assert(offsetof(tpm_state_disk_t, checksum) == 24, "on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as on disk");

/* A few kilobytes at a time: a table would not be worth its memory. */
static uint64_t crc64(uint64_t crc, const void* data, size_t size) {
  const uint8_t* bytes = data;

  crc = ~crc;
  for (size_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++)
      crc = (crc >> 1) ^ (CRC64_XZ & (0u - (crc & 1u)));
  }
  return ~crc;
}


static uint64_t state_checksum(const tpm_state_disk_t* header,
                               const void* state) {
  uint64_t crc = crc64(0, header, offsetof(tpm_state_disk_t, checksum));
  return crc64(crc, state, (size_t) header->state_size);
}


static int write_all(int fd, const void* data, size_t size) {
  const char* at = data;

  while (size > 0) {
    ssize_t done = write(fd, at, size);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return -errno;
    at += done;
    size -= (size_t) done;
  }
  return 0;
}


/* All of a file that is at most `size` large. Returns bytes read, or -1. */
static ssize_t read_all(int fd, void* data, size_t size) {
  size_t at = 0;

  while (at < size) {
    ssize_t done = read(fd, (char*) data + at, size - at);
    if (done < 0 && errno == EINTR)
      continue;
    if (done < 0)
      return -1;
    if (done == 0)
      break;
    at += (size_t) done;
  }
  return (ssize_t) at;
}


/* Replace the file: whoever reads it, after whatever crash, finds the old
 * state or the new one, whole. */
static int state_write(const tpm_state_file_t* file,
                       const void* state,
                       size_t size) {
  tpm_state_disk_t header = {
      .version = TPM_STATE_VERSION,
      .header_size = TPM_STATE_HEADER_SIZE,
      .state_size = size,
  };
  memcpy(header.magic, TPM_STATE_MAGIC, sizeof(header.magic));
  header.checksum = state_checksum(&header, state);

  /* What a crash left there goes; what somebody else put there, where others
   * may write, is not written into. */
  unlink(file->path_new);
  int fd = open(file->path_new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return -errno;
  int err = write_all(fd, &header, sizeof(header));
  if (err == 0)
    err = write_all(fd, state, size);
  if (err == 0 && fsync(fd) != 0)
    err = -errno;
  if (close(fd) != 0 && err == 0)
    err = -errno;
  if (err == 0 && rename(file->path_new, file->path) != 0)
    err = -errno;
  if (err != 0) {
    unlink(file->path_new);
    return err;
  }
  return fsync(file->directory_fd) == 0 ? 0 : -errno;
}


/* The house knows libuv's names for errors. */
static int state_store(tpm_state_file_t* file, const void* state, size_t size) {
  ASSERT(size > 0);
  ASSERT(size <= TPM_STATE_SIZE_MAX);

  int err = file->path == NULL ? 0 : state_write(file, state, size);
  if (err != 0) {
    fprintf(
        stderr,
        "evsm run: can't write %s: %s; what was answered before is safe; the"
        " TPM is in failure mode until it is reset (swtpm_ioctl -i) or evsm"
        " starts again\n",
        file->path, strerror(-err));
    return UV_EIO;
  }
  memcpy(file->state, state, size);
  file->state_size = size;
  atomic_fetch_add(&file->store_count, 1);
  return 0;
}


static void* state_main(void* arg) {
  tpm_state_file_t* file = arg;

  for (;;) {
    while (sem_wait(&file->work) != 0)
      ASSERT(errno == EINTR);
    if (file->stop)
      return NULL;
    uvx_wait_done(file->wait, state_store(file, file->next, file->next_size));
  }
}


/* ---- The keeper: what the TPM's job calls (handlers/tpm_state.h) ---- */

static void keeper_store(void* context,
                         const char* name,
                         const void* data,
                         uint32_t size,
                         uvx_wait_t* wait) {
  tpm_state_file_t* file = context;

  /* libtpms keeps its permanent state only; the file has no place for more. */
  if (strcmp(name, TPM_STATE_PERMANENT) != 0 || size == 0 ||
      size > TPM_STATE_SIZE_MAX) {
    uvx_wait_done(wait, UV_EIO);
    return;
  }
  file->next = data;
  file->next_size = size;
  file->wait = wait;

  /* The C library is no place to go on on another CPU. */
  bool were_open = arch_interrupts_close();
  sem_post(&file->work);
  if (were_open)
    arch_interrupts_open();
}


static void keeper_load(void* context,
                        const char* name,
                        void* data,
                        uint32_t size_max,
                        uint32_t* size_out,
                        uvx_wait_t* wait) {
  const tpm_state_file_t* file = context;
  int status = 0;

  if (strcmp(name, TPM_STATE_PERMANENT) != 0 || file->state_size == 0) {
    status = UV_ENOENT;
  } else if (file->state_size > size_max) {
    status = UV_ENOBUFS;
  } else {
    memcpy(data, file->state, file->state_size);
    *size_out = (uint32_t) file->state_size;
  }
  uvx_wait_done(wait, status);
}


/* A TPM's permanent state is never taken away; of the others there is none. */
static void keeper_remove(void* context, const char* name, uvx_wait_t* wait) {
  (void) context;
  uvx_wait_done(wait, strcmp(name, TPM_STATE_PERMANENT) == 0 ? UV_EIO : 0);
}


static int refuse(const tpm_state_file_t* file,
                  char* why,
                  size_t why_size,
                  const char* what) {
  snprintf(why, why_size, "%s %s; it is left as it is: give another --state",
           file->path, what);
  return -1;
}


/* Is what was read one whole state? Judges the copy in memory. */
static int state_check(tpm_state_file_t* file,
                       const tpm_state_disk_t* header,
                       size_t size,
                       char* why,
                       size_t why_size) {
  if (size == 0)
    return refuse(file, why, why_size,
                  "is empty, which no TPM state ever is (remove it to begin"
                  " with a new TPM)");
  if (size < sizeof(*header) ||
      memcmp(header->magic, TPM_STATE_MAGIC, sizeof(header->magic)) != 0)
    return refuse(file, why, why_size, "is not a TPM state of evsm's");
  if (header->version != TPM_STATE_VERSION ||
      header->header_size != TPM_STATE_HEADER_SIZE)
    return refuse(file, why, why_size,
                  "has a version that this evsm does not know");
  if (header->state_size == 0 || header->state_size > TPM_STATE_SIZE_MAX ||
      header->state_size != size - sizeof(*header))
    return refuse(file, why, why_size, "is cut short, or has grown");
  if (header->checksum != state_checksum(header, file->state))
    return refuse(file, why, why_size, "is corrupt: its checksum is wrong");

  file->state_size = (size_t) header->state_size;
  return 0;
}


static int state_load(tpm_state_file_t* file, char* why, size_t why_size) {
  int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    return 0; /* a new TPM */
  if (fd < 0) {
    snprintf(why, why_size, "can't read %s: %s; give another --state",
             file->path, strerror(errno));
    return -1;
  }

  struct stat st;
  tpm_state_disk_t header = {0};
  int err = -1;
  ssize_t head = 0;
  ssize_t rest = 0;
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    refuse(file, why, why_size, "is not a plain file");
    goto out;
  }
  head = read_all(fd, &header, sizeof(header));
  if (head == (ssize_t) sizeof(header))
    rest = read_all(fd, file->state, TPM_STATE_SIZE_MAX + 1);
  if (head < 0 || rest < 0)
    snprintf(why, why_size, "can't read %s: %s; give another --state",
             file->path, strerror(errno));
  else
    err = state_check(file, &header, (size_t) (head + rest), why, why_size);

out:
  close(fd);
  return err;
}


static int state_lock(tpm_state_file_t* file, char* why, size_t why_size) {
  /* By whatever link: one state has one lock, and the link stays a link. */
  file->path_real = realpath(file->path, NULL);
  struct stat st;
  if (file->path_real != NULL) {
    file->path = file->path_real;
  } else if (lstat(file->path, &st) == 0) { /* or it would be replaced */
    return refuse(file, why, why_size, "is a link that leads nowhere");
  }

  char copy[sizeof(file->path_new)];
  int size = snprintf(copy, sizeof(copy), "%s.lock", file->path);
  if (size < 0 || (size_t) size >= sizeof(copy)) {
    snprintf(why, why_size, "the path of --state is too long; give a shorter");
    return -1;
  }
  file->lock_fd = open(copy, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file->lock_fd < 0) {
    snprintf(why, why_size,
             "can't open %s: %s; name a --state in a folder"
             " that exists and is yours",
             copy, strerror(errno));
    return -1;
  }
  if (flock(file->lock_fd, LOCK_EX | LOCK_NB) != 0) {
    snprintf(why, why_size,
             "%s is in use by another evsm; stop that one, or"
             " give another --state",
             file->path);
    return -1;
  }

  snprintf(file->path_new, sizeof(file->path_new), "%s.new", file->path);
  snprintf(copy, sizeof(copy), "%s", file->path);
  file->directory_fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file->directory_fd < 0) {
    snprintf(why, why_size, "can't open the folder of %s: %s", file->path,
             strerror(errno));
    return -1;
  }
  return 0;
}


static void state_release(tpm_state_file_t* file) {
  if (file->state != NULL)
    explicit_bzero(file->state, TPM_STATE_SIZE_MAX + 1);
  free(file->state);
  free(file->path_real);
  if (file->directory_fd >= 0)
    close(file->directory_fd);
  if (file->lock_fd >= 0)
    close(file->lock_fd);
}


/* The thread takes no signal: those are the CPUs' and the command's. */
static int state_thread(tpm_state_file_t* file) {
  sigset_t all;
  sigset_t before;

  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int err = pthread_create(&file->thread, NULL, state_main, file);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return err;
}


int tpm_state_file_open(tpm_state_file_t* file,
                        const char* path,
                        char* why,
                        size_t why_size) {
  *file = (tpm_state_file_t){
      .path = path,
      .lock_fd = -1,
      .directory_fd = -1,
      .keeper = {file, keeper_load, keeper_store, keeper_remove},
  };
  file->state = calloc(1, TPM_STATE_SIZE_MAX + 1);
  if (file->state == NULL) {
    snprintf(why, why_size, "out of memory");
    return -1;
  }

  int err = 0;
  if (path != NULL)
    err = state_lock(file, why, why_size);
  if (err == 0 && path != NULL)
    err = state_load(file, why, why_size);
  if (err == 0) {
    sem_init(&file->work, 0, 0);
    if (state_thread(file) != 0) {
      snprintf(why, why_size, "can't start a thread");
      sem_destroy(&file->work);
      err = -1;
    }
  }
  if (err != 0)
    state_release(file);
  return err;
}


void tpm_state_file_close(tpm_state_file_t* file) {
  file->stop = true;
  sem_post(&file->work);
  pthread_join(file->thread, NULL);
  sem_destroy(&file->work);
  state_release(file);
}
