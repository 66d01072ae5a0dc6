/*
 * tests/sim/test_swtpm_identity.c - swtpm beside our TPM.
 *
 * Goal:   our TPM and swtpm are the same TPM: from the same state both make
 *         the same keys, bit for bit, and each goes on where the other ended.
 * Method: run Debian's swtpm (libtpms on OpenSSL) on a state directory of its
 *         own, speaking over a socket pair; run ours in process; hand permanent
 *         and volatile state from one to the other, and compare public areas
 *         of primaries: the EK templates and others with random unique fields.
 *
 * The seed is fixed; another may be given as the first argument.
 */
#include "tests/tpm_fake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/swtpm_file.h"

#define RANDOM_TEMPLATES 6

static struct {
  char dir[64];
  pid_t pid; /* 0: not running */
  int data;
  int control;
} swtpm;

static uint64_t seed = 1;


/* ---- swtpm ---- */

static void swtpm_path(char* path, size_t size, const char* name) {
  (void) snprintf(path, size, "%s/tpm2-00.%s", swtpm.dir, name);
}


static void swtpm_run(int data, int control) {
  char state[96];
  char fd[16];
  char ctrl[64];

  (void) snprintf(state, sizeof(state), "dir=%s", swtpm.dir);
  (void) snprintf(fd, sizeof(fd), "%d", data);
  (void) snprintf(ctrl, sizeof(ctrl), "type=unixio,clientfd=%d", control);
  (void) execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state,
                "--fd", fd, "--ctrl", ctrl, "--flags", "not-need-init",
                (char*) NULL);
  _exit(127);
}


static void swtpm_start(void) {
  int data[2];
  int control[2];

  assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, data));
  assert_int_equal(0,
                   socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control));
  swtpm.pid = fork();
  if (swtpm.pid == 0) {
    (void) fcntl(data[1], F_SETFD, 0);
    (void) fcntl(control[1], F_SETFD, 0);
    swtpm_run(data[1], control[1]);
  }
  assert_true(swtpm.pid > 0);
  (void) close(data[1]);
  (void) close(control[1]);
  swtpm.data = data[0];
  swtpm.control = control[0];
}


static void read_whole(int fd, void* buf, size_t size) {
  uint8_t* p = buf;

  while (size > 0) {
    ssize_t n = read(fd, p, size);
    if (n < 0 && errno == EINTR)
      continue;
    assert_true(n > 0);
    p += n;
    size -= (size_t) n;
  }
}


/* A control command without arguments; its answer begins with a result. */
static uint32_t swtpm_control(uint32_t code) {
  const uint8_t bytes[4] = {0, 0, 0, (uint8_t) code};
  uint8_t answer[4];

  assert_int_equal(4, write(swtpm.control, bytes, sizeof(bytes)));
  read_whole(swtpm.control, answer, sizeof(answer));
  return t2_at32(answer);
}


static void swtpm_stop(void) {
  int status = 0;

  if (swtpm.pid == 0)
    return;
  assert_int_equal(0, swtpm_control(3)); /* SHUTDOWN */
  (void) close(swtpm.data);
  (void) close(swtpm.control);
  assert_int_equal(swtpm.pid, waitpid(swtpm.pid, &status, 0));
  swtpm.pid = 0;
  assert_true(WIFEXITED(status));
  assert_int_equal(0, WEXITSTATUS(status));
}


/* `command`, executed by swtpm; the answer is in `response`. */
static uint32_t swtpm_command(void) {
  uint32_t rc = 0x922;

  for (int i = 0; i < 2 && rc == 0x922; i++) {
    assert_int_equal(command.size,
                     write(swtpm.data, command.bytes, command.size));
    read_whole(swtpm.data, response.bytes, 10);
    response.size = t2_at32(response.bytes + 2);
    assert_true(response.size >= 10 && response.size <= T2_BYTES_MAX);
    read_whole(swtpm.data, response.bytes + 10, response.size - 10);
    rc = t2_rc(&response);
  }
  return rc;
}


/* ---- State, from one to the other ---- */

/* What is in our fake disk, into swtpm's directory. */
static void disk_to_swtpm(int which_blob, const char* name) {
  char path[96];
  uint8_t header[SWTPM_FILE_HEADER_SIZE];

  swtpm_path(path, sizeof(path), name);
  FILE* f = fopen(path, "wb");
  assert_non_null(f);
  swtpm_file_header(header, fake.size[which_blob]);
  assert_int_equal(sizeof(header), fwrite(header, 1, sizeof(header), f));
  assert_int_equal(fake.size[which_blob],
                   fwrite(fake.data[which_blob], 1, fake.size[which_blob], f));
  assert_int_equal(0, fclose(f));
}


static void swtpm_to_disk(int which_blob, const char* name) {
  static uint8_t file[TPM_BLOB_SIZE_MAX];
  char path[96];
  uint32_t size = 0;

  swtpm_path(path, sizeof(path), name);
  FILE* f = fopen(path, "rb");
  assert_non_null(f);
  size_t got = fread(file, 1, sizeof(file), f);
  assert_int_equal(0, fclose(f));
  const uint8_t* blob = swtpm_file_blob(file, got, &size);
  assert_non_null(blob);
  memcpy(fake.data[which_blob], blob, size);
  fake.size[which_blob] = size;
}


/* ---- Keys ---- */

static const uint8_t policy_b_sha256[32] = {1, 2, 3};


static size_t all_templates(t2_template_t* t) {
  static uint8_t unique[4 * RANDOM_TEMPLATES][256];
  size_t count = 0;

  t[count++] = (t2_template_t){.type = T2_ALG_RSA,
                               .attributes = T2_ATTR_EK,
                               .scheme = T2_ALG_NULL,
                               .kind = 2048,
                               .policy = t2_ek_policy,
                               .unique = unique[0], /* zeros: template L-1 */
                               .unique_size = 256};
  for (uint32_t curve = 3; curve <= 5; curve++)
    t[count++] = (t2_template_t){.type = T2_ALG_ECC,
                                 .attributes = T2_ATTR_EK,
                                 .scheme = T2_ALG_NULL,
                                 .kind = curve,
                                 .policy = t2_ek_policy,
                                 .unique = unique[0],
                                 .unique_size = 64};
  t[count++] = (t2_template_t){.type = T2_ALG_RSA,
                               .attributes = T2_ATTR_SIGN,
                               .scheme = T2_ALG_RSASSA,
                               .kind = 3072,
                               .policy = policy_b_sha256};
  for (uint32_t i = 1; i <= RANDOM_TEMPLATES; i++) {
    (void) fake_entropy(unique[i], sizeof(unique[i]));
    t[count++] = (t2_template_t){.type = T2_ALG_RSA,
                                 .attributes = T2_ATTR_STORAGE,
                                 .scheme = T2_ALG_NULL,
                                 .kind = i == 1 ? 1024 : 2048,
                                 .unique = unique[i],
                                 .unique_size = 128};
    for (uint32_t curve = 1; curve <= 5; curve++)
      t[count++] = (t2_template_t){.type = T2_ALG_ECC,
                                   .attributes = T2_ATTR_SIGN,
                                   .scheme = T2_ALG_ECDSA,
                                   .kind = curve,
                                   .unique = unique[i],
                                   .unique_size = 40};
  }
  return count;
}


/* Both make the key; all of both responses is compared but for the ticket,
 * whose key is the same too: so all of it. */
static void same_primary(uint32_t hierarchy, const t2_template_t* t) {
  t2_create(&command, hierarchy, t);
  assert_int_equal(0, run_command());
  static t2_bytes_t ours;
  ours = response;
  flush(t2_handle(&ours));

  t2_create(&command, hierarchy, t);
  assert_int_equal(0, swtpm_command());
  assert_int_equal(ours.size, response.size);
  assert_memory_equal(ours.bytes, response.bytes, ours.size);
  t2_flush(&command, t2_handle(&response));
  assert_int_equal(0, swtpm_command());
}


static void same_primaries(void) {
  static const uint32_t hierarchies[] = {T2_RH_ENDORSEMENT, T2_RH_OWNER,
                                         T2_RH_PLATFORM};
  t2_template_t t[8 + 6 * RANDOM_TEMPLATES];
  size_t count = all_templates(t);

  assert_true(count <= ARRAY_SIZE(t));
  for (size_t i = 0; i < count; i++)
    same_primary(i < 5 ? T2_RH_ENDORSEMENT : hierarchies[i % 3], &t[i]);
}


/* ---- The tests ---- */

static int begin(void** state) {
  (void) state;
  entropy_state = seed;
  fake_begin();
  (void) snprintf(swtpm.dir, sizeof(swtpm.dir), "/tmp/evsm-swtpm-XXXXXX");
  assert_non_null(mkdtemp(swtpm.dir));
  return 0;
}


static int end(void** state) {
  static const char* const names[] = {"permall", "volatilestate"};
  char path[96];

  (void) state;
  if (swtpm.pid > 0) {
    (void) kill(swtpm.pid, SIGKILL);
    (void) waitpid(swtpm.pid, NULL, 0);
    swtpm.pid = 0;
  }
  for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
    swtpm_path(path, sizeof(path), names[i]);
    (void) unlink(path);
  }
  (void) snprintf(path, sizeof(path), "%s/.lock", swtpm.dir);
  (void) unlink(path);
  assert_int_equal(0, rmdir(swtpm.dir));
  fake_end();
  return 0;
}


static void swtpm_makes_the_keys_of_our_state(void** state) {
  (void) state;
  disk_to_swtpm(0, "permall");
  swtpm_start();
  t2_startup(&command);
  assert_int_equal(0, swtpm_command());
  same_primaries();
  swtpm_stop();
}


static void we_make_the_keys_of_swtpms_state(void** state) {
  (void) state;
  swtpm_start(); /* makes a state of its own */
  t2_startup(&command);
  assert_int_equal(0, swtpm_command());
  swtpm_to_disk(0, "permall");
  start_up();
  same_primaries();
  swtpm_stop();
}


static void what_one_stores_the_other_reads(void** state) {
  (void) state;
  t2_nv_define(&command, 0x01800001, 64);
  assert_int_equal(0, run_command());
  t2_nv_write(&command, 0x01800001, "from evsm", 9, 0);
  assert_int_equal(0, run_command());
  t2_evict_control(&command, primary(T2_RH_OWNER, &srk), 0x81000001);
  assert_int_equal(0, run_command());
  t2_read_public(&command, 0x81000001);
  assert_int_equal(0, run_command());
  static t2_bytes_t public;
  public = response;
  t2_shutdown(&command);
  assert_int_equal(0, run_command());
  tpm_power_off();

  disk_to_swtpm(0, "permall");
  swtpm_start();
  t2_startup(&command);
  assert_int_equal(0, swtpm_command());
  t2_nv_read(&command, 0x01800001, 9, 0);
  assert_int_equal(0, swtpm_command());
  assert_memory_equal("from evsm", response.bytes + 16, 9);
  t2_read_public(&command, 0x81000001);
  assert_int_equal(0, swtpm_command());
  assert_memory_equal(public.bytes, response.bytes, public.size);
  t2_nv_write(&command, 0x01800001, "from swtpm", 10, 10);
  assert_int_equal(0, swtpm_command());
  t2_shutdown(&command);
  assert_int_equal(0, swtpm_command());
  swtpm_stop();

  swtpm_to_disk(0, "permall");
  start_up();
  t2_nv_read(&command, 0x01800001, 20, 0);
  assert_int_equal(0, run_command());
  assert_memory_equal("from evsm", response.bytes + 16, 9);
  assert_memory_equal("from swtpm", response.bytes + 26, 10);
}


static const uint32_t sequences[3] = {T2_ALG_SHA1, T2_ALG_SHA256,
                                      T2_ALG_SHA512};


/* Start three hash sequences by `execute`, and feed each the first part. */
static void begin_sequences(uint32_t (*execute)(void), const char* text) {
  for (uint32_t i = 0; i < 3; i++) {
    t2_hash_sequence_start(&command, sequences[i]);
    assert_int_equal(0, execute());
    t2_sequence_update(&command, t2_handle(&response), text,
                       (uint32_t) strlen(text));
    assert_int_equal(0, execute());
  }
}


/* Feed the last part, and keep what comes out. */
static void end_sequences(uint32_t (*execute)(void),
                          const char* text,
                          t2_bytes_t* results) {
  for (uint32_t i = 0; i < 3; i++) {
    t2_sequence_update(&command, 0x80000000 + i, text, (uint32_t) strlen(text));
    assert_int_equal(0, execute());
    t2_sequence_complete(&command, 0x80000000 + i);
    assert_int_equal(0, execute());
    results[i] = response;
  }
}


/* The digests, apart from the tickets that come with them. */
static void same_digests(const t2_bytes_t* a, const t2_bytes_t* b) {
  for (uint32_t i = 0; i < 3; i++) {
    uint32_t size = t2_at16(a[i].bytes + 14);
    assert_true(size >= 20 && size <= 64);
    assert_memory_equal(a[i].bytes + 14, b[i].bytes + 14, 2 + size);
  }
}

#define FIRST                                                           \
  "The first part fills more than one block of any of the hashes, and " \
  "then leaves some bytes over, which is what makes saving one hard."
#define LAST "And this is the last part."


static void hashing_goes_on_in_the_other(void** state) {
  static t2_bytes_t expected[3];
  static t2_bytes_t results[3];

  (void) state;
  begin_sequences(run_command, FIRST);
  assert_int_equal(0, tpm_store_volatile());
  end_sequences(run_command, LAST, expected);
  tpm_power_off();

  disk_to_swtpm(0, "permall");
  disk_to_swtpm(1, "volatilestate");
  swtpm_start();
  end_sequences(swtpm_command, LAST, results);
  same_digests(expected, results);

  begin_sequences(swtpm_command, FIRST);
  assert_int_equal(0, swtpm_control(10)); /* STORE_VOLATILE */
  swtpm_to_disk(0, "permall");
  swtpm_to_disk(1, "volatilestate");
  swtpm_stop();
  assert_int_equal(0, tpm_power_on());
  end_sequences(run_command, LAST, results);
  same_digests(expected, results);
}


int main(int argc, char** argv) {
  const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
      TEST(swtpm_makes_the_keys_of_our_state),
      TEST(we_make_the_keys_of_swtpms_state),
      TEST(what_one_stores_the_other_reads),
      TEST(hashing_goes_on_in_the_other),
#undef TEST
  };

  if (argc > 1)
    seed = strtoull(argv[1], NULL, 0);
  (void) printf("seed %llu\n", (unsigned long long) seed);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
