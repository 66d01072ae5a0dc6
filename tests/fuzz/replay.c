/*
 * tests/fuzz/replay.c - a fuzzer's body without libFuzzer.
 *
 *   NAME ROUNDS CORPUS
 *
 * Hands each file of the directory CORPUS to the fuzzer, whole and cut short,
 * and then ROUNDS inputs derived from them by a fixed generator, so that a run
 * repeats exactly. A directory that is absent counts as empty: the rounds then
 * begin from nothing. That nothing bad happens is for the sanitizers to say.
 */
#include <dirent.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_SIZE_MAX 8192u
#define INPUTS_MAX 4096u

typedef struct {
  char name[64];
  uint8_t* data;
  size_t size; /* bytes */
} input_t;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

static input_t inputs[INPUTS_MAX];
static size_t input_count;
static uint64_t seed = 1;
static const char* fed = ""; /* what stopped us, when it does */
static size_t fed_size;      /* bytes */

/* Splitmix64: any generator does, as long as it is ours and fixed. */
static uint64_t next_random(void) {
  uint64_t z = (seed += 0x9e3779b97f4a7c15u);

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}


/* A copy that ends where the input ends, so that ASan sees one byte more. */
static void feed(const uint8_t* data, size_t size) {
  uint8_t* copy = malloc(size > 0 ? size : 1);

  if (copy == NULL)
    exit(1);
  if (size > 0)
    memcpy(copy, data, size);
  fed_size = size;
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
}


static void load(const char* folder, const char* name) {
  char path[4096];
  FILE* file;

  if (name[0] == '.' || input_count == INPUTS_MAX)
    return;
  if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int) sizeof(path))
    return;
  file = fopen(path, "rb");
  if (file == NULL)
    return;

  uint8_t* data = malloc(INPUT_SIZE_MAX);
  if (data == NULL)
    exit(1);
  snprintf(inputs[input_count].name, sizeof(inputs->name), "%s", name);
  inputs[input_count].data = data;
  inputs[input_count].size = fread(data, 1, INPUT_SIZE_MAX, file);
  input_count++;
  fclose(file);
}


static void load_folder(const char* folder) {
  struct dirent** names;
  int count = scandir(folder, &names, NULL, alphasort);

  for (int i = 0; i < count; i++) {
    load(folder, names[i]->d_name);
    free(names[i]);
  }
  if (count >= 0)
    free(names);
}


static void feed_cut(const input_t* input) {
  size_t step = input->size / 64 + 1;

  fed = input->name;
  for (size_t size = 0; size < input->size; size += step)
    feed(input->data, size);
  feed(input->data, input->size);
}


/* One derived input: a corpus file or noise, with a few bytes changed. */
static void feed_derived(void) {
  static uint8_t data[INPUT_SIZE_MAX];
  size_t size = next_random() % 512;

  for (size_t i = 0; i < size; i++)
    data[i] = (uint8_t) next_random();
  if (input_count > 0 && next_random() % 8 != 0) {
    const input_t* base = &inputs[next_random() % input_count];
    memcpy(data, base->data, base->size);
    size = base->size;
    fed = base->name;
  }

  uint64_t changes = next_random() % 8;
  for (uint64_t i = 0; i < changes && size > 0; i++)
    data[next_random() % size] = (uint8_t) next_random();
  if (size > 0 && next_random() % 4 == 0)
    size = next_random() % size;
  feed(data, size);
}


/* A failed ASSERT aborts: say by which input. */
static void say_what(void) {
  fprintf(stderr, "the input: %zu bytes, from %s\n", fed_size, fed);
}


static void on_abort(int number) {
  say_what();
  signal(number, SIG_DFL);
}


int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "use: %s ROUNDS CORPUS\n", argv[0]);
    return 2;
  }

  signal(SIGABRT, on_abort);
  load_folder(argv[2]);
  for (size_t i = 0; i < input_count; i++)
    feed_cut(&inputs[i]);
  for (long rounds = strtol(argv[1], NULL, 10); rounds > 0; rounds--)
    feed_derived();

  for (size_t i = 0; i < input_count; i++)
    free(inputs[i].data);
  printf("%zu files replayed\n", input_count);
  return 0;
}
