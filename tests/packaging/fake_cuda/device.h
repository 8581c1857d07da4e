// A GPU made of this process's memory, for the host's side of CUDA alone: memory is kept and copied, work is counted and
// computes nothing, and what CUDA forbids is noted in a log as a line that begins with "!!".
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#define API extern "C"

namespace fake_cuda {

enum class Place { kDevice, kHost };

// cudaErrorInvalidResourceHandle, cudaErrorStreamCaptureUnsupported, cudaErrorStreamCaptureInvalidated
inline constexpr int kUnknownHandle = 400;
inline constexpr int kNotWhileCapturing = 900;
inline constexpr int kCaptureSpoilt = 901;

void note(const std::string& line);

// Null where there is no such memory left.
void* allocate(std::size_t n_bytes, Place place);
int release(void* address, Place place);
bool is_known(const void* address, std::size_t n_bytes);
bool find_place(const void* address, Place& place);

void* create_stream();
int destroy_stream(void* stream);

// Does work at once, or keeps it where the stream is being captured. A null stream is the default one.
int enqueue(void* stream, const std::string& what, std::function<void()> work = [] {});

// An error, which spoils the capture, for what may not be called by any thread while one captures.
int refuse_while_capturing(const std::string& what);
int wait_for(void* stream);

int begin_capture(void* stream);
int end_capture(void* stream, void** graph);
bool is_capturing(void* stream);
void* copy_graph(void* graph);
void delete_graph(void* graph);
int launch_graph(void* graph, void* stream);

}  // namespace fake_cuda
