#include "device.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

namespace fake_cuda {
namespace {

using Work = std::function<void()>;

struct Graph {
  std::vector<Work> work;
};

struct Stream {
  bool is_capturing = false;
  bool is_spoilt = false;
  Graph captured;
};

struct Block {
  std::size_t n_bytes;
  Place place;
};

constexpr std::size_t kAlignment = 512;

// Never destroyed: libraries call until the process ends.
std::recursive_mutex& mutex() {
  static auto* const made = new std::recursive_mutex;
  return *made;
}

std::map<std::uintptr_t, Block>& blocks() {
  static auto* const made = new std::map<std::uintptr_t, Block>;
  return *made;
}

std::set<Stream*>& streams() {
  static auto* const made = new std::set<Stream*>;
  return *made;
}

bool is_any_capturing() {
  for (const Stream* stream : streams())
    if (stream->is_capturing) return true;
  return false;
}

// Null, with a note, for one that was destroyed or never made.
Stream* find_stream(void* handle, const std::string& what) {
  auto* const stream = static_cast<Stream*>(handle);
  if (streams().contains(stream)) return stream;
  note("!! " + what + " on a stream that is not there");
  return nullptr;
}

std::map<std::uintptr_t, Block>::iterator block_of(const void* address) {
  const auto after = blocks().upper_bound(reinterpret_cast<std::uintptr_t>(address));
  return after == blocks().begin() ? blocks().end() : std::prev(after);
}

}  // namespace

void note(const std::string& line) {
  static std::FILE* const file = [] {
    const char* const path = std::getenv("FAKE_CUDA_LOG");
    return path ? std::fopen(path, "a") : stderr;
  }();
  std::fprintf(file, "%s\n", line.c_str());
  std::fflush(file);
}

void* allocate(std::size_t n_bytes, Place place) {
  const std::scoped_lock lock(mutex());
  void* const address = std::aligned_alloc(kAlignment, (n_bytes / kAlignment + 1) * kAlignment);
  if (!address) return nullptr;
  std::memset(address, 0x7f, n_bytes);
  blocks()[reinterpret_cast<std::uintptr_t>(address)] = {n_bytes, place};
  note("allocate");
  return address;
}

int release(void* address, Place place) {
  if (!address) return 0;
  const std::scoped_lock lock(mutex());
  const auto found = blocks().find(reinterpret_cast<std::uintptr_t>(address));
  if (found == blocks().end() || found->second.place != place) {
    note("!! memory is freed that is not there");
    return 1;
  }
  blocks().erase(found);
  std::free(address);
  note("free");
  return 0;
}

bool is_known(const void* address, std::size_t n_bytes) {
  const std::scoped_lock lock(mutex());
  const auto found = block_of(address);
  return found != blocks().end() &&
         reinterpret_cast<std::uintptr_t>(address) + n_bytes <= found->first + found->second.n_bytes;
}

bool find_place(const void* address, Place& place) {
  const std::scoped_lock lock(mutex());
  if (!is_known(address, 1)) return false;
  place = block_of(address)->second.place;
  return true;
}

void* create_stream() {
  const std::scoped_lock lock(mutex());
  return *streams().insert(new Stream).first;
}

int destroy_stream(void* handle) {
  const std::scoped_lock lock(mutex());
  Stream* const stream = find_stream(handle, "the end");
  if (!stream) return kUnknownHandle;
  streams().erase(stream);
  delete stream;
  return 0;
}

int enqueue(void* handle, const std::string& what, Work work) {
  const std::scoped_lock lock(mutex());
  if (!handle) {
    note((is_any_capturing() ? "!! while another stream captures: default " : "default ") + what);
    work();
    return 0;
  }
  Stream* const stream = find_stream(handle, what);
  if (!stream) return kUnknownHandle;
  note((stream->is_capturing ? "capture " : "run ") + what);
  if (stream->is_capturing)
    stream->captured.work.push_back(std::move(work));
  else
    work();
  return stream->is_spoilt ? kCaptureSpoilt : 0;
}

int refuse_while_capturing(const std::string& what) {
  const std::scoped_lock lock(mutex());
  if (!is_any_capturing()) return 0;
  note("!! while a stream captures: " + what);
  for (Stream* stream : streams()) stream->is_spoilt = stream->is_capturing;
  return kNotWhileCapturing;
}

int wait_for(void* handle) {
  const std::scoped_lock lock(mutex());
  if (!handle) return refuse_while_capturing("a wait for the default stream");
  Stream* const stream = find_stream(handle, "a wait");
  if (!stream) return kUnknownHandle;
  return stream->is_capturing ? refuse_while_capturing("a wait for the stream that captures") : 0;
}

int begin_capture(void* handle) {
  const std::scoped_lock lock(mutex());
  Stream* const stream = find_stream(handle, "a capture");
  if (!stream) return kUnknownHandle;
  if (const int error = refuse_while_capturing("another capture")) return error;
  *stream = {.is_capturing = true};
  note("begin");
  return 0;
}

int end_capture(void* handle, void** graph) {
  const std::scoped_lock lock(mutex());
  Stream* const stream = find_stream(handle, "the end of a capture");
  if (!stream) return kUnknownHandle;
  const bool is_spoilt = stream->is_spoilt;
  *graph = is_spoilt ? nullptr : new Graph(stream->captured);
  *stream = {};
  note("end");
  return is_spoilt ? kCaptureSpoilt : 0;
}

bool is_capturing(void* handle) {
  const std::scoped_lock lock(mutex());
  auto* const stream = static_cast<Stream*>(handle);
  return streams().contains(stream) && stream->is_capturing;
}

void* copy_graph(void* graph) { return new Graph(*static_cast<Graph*>(graph)); }

void delete_graph(void* graph) { delete static_cast<Graph*>(graph); }

int launch_graph(void* graph, void* stream) {
  return enqueue(stream, "graph", [graph] {
    for (const Work& work : static_cast<Graph*>(graph)->work) work();
  });
}

}  // namespace fake_cuda
