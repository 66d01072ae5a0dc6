/*
 * sim/options.c - see sim/options.h.
 */
#include "sim/options.h"

#include "runtime/base.h"

#include <stdio.h>
#include <string.h>

int options_wrong(const command_t* command,
                  const char* what,
                  const char* word) {
  fprintf(stderr, "%s: %s '%s'; see %s --help\n", command->name, what, word,
          command->name);
  return EXIT_USAGE;
}


bool options_number(const char* text,
                    uint64_t min,
                    uint64_t max,
                    uint64_t* number) {
  uint64_t value = 0;

  if (*text == '\0')
    return false;
  for (; *text != '\0'; text++) {
    if (*text < '0' || *text > '9' || value > UINT64_MAX / 10 - 1)
      return false;
    value = value * 10 + (uint64_t) (*text - '0');
  }
  if (value < min || value > max)
    return false;
  *number = value;
  return true;
}


/* The option that `word` names, and what stands behind its '=', or NULL. */
static const option_t* option_find(const command_t* command,
                                   const char* word,
                                   const char** value) {
  size_t size = strcspn(word, "=");

  *value = word[size] == '=' ? word + size + 1 : NULL;
  for (size_t i = 0; i < command->option_count; i++) {
    const option_t* option = &command->options[i];
    if (strlen(option->name) == size && memcmp(option->name, word, size) == 0)
      return option;
  }
  return NULL;
}


static int option_set(const command_t* command,
                      const option_t* option,
                      const char* value) {
  if (option->text != NULL) {
    if (*value == '\0')
      return options_wrong(command, "nothing is given to", option->name);
    *option->text = value;
    return 0;
  }
  if (options_number(value, option->min, option->max, option->number))
    return 0;
  fprintf(stderr,
          "%s: %s takes a number from %llu to %llu, not '%s'; see %s"
          " --help\n",
          command->name, option->name, (unsigned long long) option->min,
          (unsigned long long) option->max, value, command->name);
  return EXIT_USAGE;
}


/* One option at *argv; moves *argv to its last word. */
static int option_take(const command_t* command, char*** argv) {
  const char* value;
  const char* word = **argv;
  const option_t* option = option_find(command, word, &value);

  if (option == NULL)
    return options_wrong(command, "there is no option", word);
  if (option->flag != NULL) {
    if (value != NULL)
      return options_wrong(command, "nothing can be given to", option->name);
    *option->flag = true;
    return 0;
  }
  if (value == NULL) {
    (*argv)++;
    value = **argv;
  }
  if (value == NULL) {
    (*argv)--;
    return options_wrong(command, "nothing is given to", option->name);
  }
  return option_set(command, option, value);
}


int options_parse(const command_t* command,
                  char** argv,
                  const char** words,
                  int* status) {
  int count = 0;
  bool are_options = true;

  ASSERT(*argv != NULL);
  for (argv++; *argv != NULL; argv++) {
    if (are_options && strcmp(*argv, "--") == 0) {
      are_options = false;
    } else if (are_options &&
               (strcmp(*argv, "--help") == 0 || strcmp(*argv, "-h") == 0)) {
      fputs(command->help, stdout);
      *status = 0;
      return -1;
    } else if (are_options && (*argv)[0] == '-') {
      *status = option_take(command, &argv);
      if (*status != 0)
        return -1;
    } else if (count == command->words_max) {
      *status = options_wrong(command, "one word too many:", *argv);
      return -1;
    } else {
      words[count++] = *argv;
    }
  }
  return count;
}
