// The reader of requests under hostile bytes: whatever they are, it gives views that lie in them, or leaves them alone.
//
// Built like fuzz_loader; it belongs to the Python binding, but knows nothing of Python.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "request_wire.h"

namespace {

using offbeat_python::WireRequest;

void check_inside(std::string_view bytes, std::string_view part) {
  const std::less_equal<const char*> is_not_after;
  if (part.empty()) return;
  if (!is_not_after(bytes.data(), part.data()) || !is_not_after(part.data() + part.size(), bytes.data() + bytes.size())) std::abort();
}

void check(std::string_view bytes, bool (*read)(std::string_view, WireRequest&) noexcept) {
  WireRequest request;
  if (!read(bytes, request)) return;
  if (request.n_outputs > request.outputs.size() || request.n_axes > request.shape.size()) std::abort();
  for (const std::string_view part : {request.model, request.id, request.version_text, request.data}) check_inside(bytes, part);
  std::size_t n_bytes = request.model.size() + request.id.size() + request.version_text.size() + request.data.size();
  for (std::size_t index = 0; index < request.n_outputs; ++index) {
    check_inside(bytes, request.outputs[index]);
    n_bytes += request.outputs[index].size();
  }
  // No byte is part of two fields.
  if (n_bytes > bytes.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes, offbeat_python::read_score_request);
  check(bytes, offbeat_python::read_infer_request);
  return 0;
}
