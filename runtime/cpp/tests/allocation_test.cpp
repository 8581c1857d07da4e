// Scoring allocates nothing: every way to get memory is counted while every model scores, in every precision and by every thread.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "expect.h"
#include "golden_models.h"
#include "offbeat/window_buffer.h"

namespace {

std::atomic<std::size_t> n_allocations{0};

// A sanitizer has its own malloc; then operator new alone is counted, which is what C++ code calls.
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_MALLOC 1
#endif

void* counted(std::size_t size) {
  ++n_allocations;
  return std::malloc(size);
}

}  // namespace

#if defined(COUNTS_MALLOC)
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t n, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++n_allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  ++n_allocations;
  return __libc_calloc(n, size);
}
void* realloc(void* old, std::size_t size) {
  ++n_allocations;
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++n_allocations;
  return __libc_memalign(alignment, size);
}
}
#endif

// Not inlined: the compiler would see new's memory given to free, and not that both are ours.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = counted(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using offbeat::Precision;
using offbeat_test::expect;

void nothing_is_allocated(const std::string& name, const offbeat::SessionOptions& options) {
  const offbeat::Session session = offbeat_test::load_model(name, options);
  const std::size_t n_steps = offbeat_test::steps_of(session), n_features = session.shape().n_features;
  offbeat::Workspace workspace = session.workspace(n_steps).value();
  for (const std::size_t n : {1, 3, 70}) {
    const std::vector<float> windows = offbeat_test::random_rows(n * n_steps * n_features);
    offbeat_test::AllOutputs outputs(session, n, n_steps);
    const std::size_t before = n_allocations;
    const offbeat::Status status = session.score(windows.data(), n, n_steps, outputs.places, workspace);
    const std::size_t n_seen = n_allocations - before;
    const std::string where = name + ", " + std::to_string(n) + " windows, precision " + std::to_string(static_cast<int>(options.precision)) +
                              ", threads " + std::to_string(options.n_threads);
    expect(status == offbeat::Status::ok, where + ": scored");
    expect(n_seen == 0, where + ": " + std::to_string(n_seen) + " allocations");
  }
}

void a_buffer_allocates_only_when_it_is_made(const std::string& name) {
  const offbeat::Session session = offbeat_test::load_model(name);
  const std::size_t n_steps = offbeat_test::steps_of(session), n_features = session.shape().n_features;
  offbeat::WindowBuffer buffer = offbeat::WindowBuffer::make(session, {.n_steps = n_steps}).value();
  offbeat_test::AllOutputs outputs(session, 1, n_steps);
  const std::vector<float> rows = offbeat_test::random_rows(3 * n_steps * n_features);
  std::size_t n_scores = 0;
  const std::size_t before = n_allocations;
  for (std::size_t row = 0; row < 3 * n_steps; ++row) n_scores += buffer.push(rows.data() + row * n_features, outputs.places).is_scored();
  buffer.clear();
  const std::size_t n_seen = n_allocations - before;
  expect(n_scores == 2 * n_steps + 1, name + ": scores come");
  expect(n_seen == 0, name + ": " + std::to_string(n_seen) + " allocations while rows are pushed");
}

}  // namespace

int main() {
  const std::size_t before = n_allocations;
  std::vector<float>* seen = new std::vector<float>(10);
  delete seen;
  expect(n_allocations >= before + 2, "the counter counts");
#if defined(COUNTS_MALLOC)
  void* volatile plain = std::malloc(10);
  std::free(plain);
  expect(n_allocations >= before + 3, "malloc is counted too");
#endif
  for (const char* name : offbeat_test::model_names) {
    for (const Precision precision : {Precision::float32, Precision::float16, Precision::bfloat16, Precision::int8}) {
      nothing_is_allocated(name, {.precision = precision});
    }
    nothing_is_allocated(name, {.n_threads = 2});
    a_buffer_allocates_only_when_it_is_made(name);
  }
  return offbeat_test::exit_code();
}
