/*
 * Goal:   what a device notes with a raise, its callback sees, in its loop; a
 *         closed handle hears nothing more.
 * Method: host threads that are no CPUs write a number and raise; the callback
 *         must in the end have seen the last number of each.
 */
#include "tests/unit/unit.h"

#include "tests/unit/machine.h"

#define DEVICES 3u
#define RAISES 20000u

typedef struct {
  uvx_irq_t irq;
  pthread_t thread;
  _Atomic uint32_t written;
  uint32_t seen;
  uint32_t runs;
  _Atomic bool over;
} device_t;

static device_t devices[DEVICES];
static _Atomic uint32_t closed_count;
static _Atomic uint32_t ready_count;


static void on_closed(uv_handle_t* handle) {
  device_t* device = container_of(handle, device_t, irq);

  atomic_store(&device->over, true);
  if (atomic_fetch_add(&closed_count, 1) == DEVICES - 1)
    machine_stop();
}


static void on_irq(uvx_irq_t* irq) {
  device_t* device = container_of(irq, device_t, irq);

  ASSERT(!device->over);
  ASSERT(irq->loop == uvx_cpu_loop(arch_cpu()));
  device->runs++;
  device->seen = atomic_load(&device->written);
  if (device->seen == RAISES && !uv_is_closing((uv_handle_t*) irq))
    uv_close((uv_handle_t*) irq, on_closed);
}


static void* device_main(void* arg) {
  device_t* device = arg;

  while (atomic_load(&ready_count) < 2)
    arch_relax();
  for (uint32_t i = 1; i <= RAISES; i++) {
    atomic_store(&device->written, i);
    uvx_irq_raise(&device->irq);
  }
  while (!atomic_load(&device->over)) /* and while it closes, and after */
    uvx_irq_raise(&device->irq);
  uvx_irq_raise(&device->irq);
  return NULL;
}


static void boot(uint32_t cpu) {
  for (uint32_t i = cpu; i < DEVICES; i += 2) {
    uvx_irq_init(uvx_cpu_loop(cpu), &devices[i].irq, on_irq);
    ASSERT(uv_is_active((uv_handle_t*) &devices[i].irq));
    ASSERT(uv_loop_alive(uvx_cpu_loop(cpu)));
  }
  atomic_fetch_add(&ready_count, 1);
}


static void last_raise_is_always_seen(void** state) {
  (void) state;
  for (uint32_t i = 0; i < DEVICES; i++)
    assert_int_equal(
        0, pthread_create(&devices[i].thread, NULL, device_main, &devices[i]));
  machine_run(2, boot);

  for (uint32_t i = 0; i < DEVICES; i++) {
    pthread_join(devices[i].thread, NULL);
    assert_int_equal(RAISES, devices[i].seen);
    assert_in_range(devices[i].runs, 1, RAISES);
  }
}


/* ---- Raised many times, run once; closed before it ran ---- */

static uvx_irq_t many;
static uvx_irq_t never;
static uint32_t many_runs;


static void on_many(uvx_irq_t* irq) {
  many_runs++;
  uv_close((uv_handle_t*) irq, NULL);
  machine_stop();
}


static void on_never(uvx_irq_t* irq) {
  (void) irq;
  ASSERT(false);
}


static void boot_many(uint32_t cpu) {
  uv_loop_t* loop = uvx_cpu_loop(cpu);

  uvx_irq_init(loop, &many, on_many);
  uvx_irq_init(loop, &never, on_never);
  uv_unref((uv_handle_t*) &never);
  for (int i = 0; i < 5; i++) {
    uvx_irq_raise(&never);
    uvx_irq_raise(&many);
  }
  ASSERT(many_runs == 0);
  uv_close((uv_handle_t*) &never, NULL);
}


static void raises_before_a_run_are_one_and_a_close_undoes_them(void** state) {
  (void) state;
  machine_run(1, boot_many);
  assert_int_equal(1, many_runs);
}


int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(last_raise_is_always_seen),
      cmocka_unit_test(raises_before_a_run_are_one_and_a_close_undoes_them),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
