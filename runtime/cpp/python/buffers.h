#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <string>
#include <string_view>

/// Python's buffers, taken straight from the interpreter: a caller who scores one small window pays for every step between.
namespace offbeat_python {

namespace nb = nanobind;

/// A C-contiguous buffer of an object, held for as long as this lives.
class Buffer {
 public:
  /// Raises TypeError or BufferError, saying what `name` has to be.
  Buffer(nb::handle object, int flags, std::string_view name) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags) == 0) return;
    PyErr_Clear();
    throw nb::type_error((std::string(name) + ": expected a C-contiguous array" + (flags & PyBUF_WRITABLE ? " that may be written" : "")).c_str());
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { PyBuffer_Release(&view_); }

  [[nodiscard]] void* data() const noexcept { return view_.buf; }
  [[nodiscard]] int n_axes() const noexcept { return view_.ndim; }
  [[nodiscard]] std::size_t size(int axis) const noexcept { return static_cast<std::size_t>(view_.shape[axis]); }
  [[nodiscard]] std::size_t n_bytes() const noexcept { return static_cast<std::size_t>(view_.len); }

  /// Whether the elements are of that type: a character of the struct module, native or little-endian.
  [[nodiscard]] bool holds(char type) const noexcept {
    const std::string_view format = view_.format == nullptr ? "B" : view_.format;
    return format.size() == 1 ? format[0] == type : format.size() == 2 && (format[0] == '<' || format[0] == '=') && format[1] == type;
  }

  /// "float32 [3, 50, 1]", for messages.
  [[nodiscard]] std::string describe() const {
    std::string text = "'" + std::string(view_.format == nullptr ? "B" : view_.format) + "' [";
    for (int axis = 0; axis < n_axes(); ++axis) text += (axis > 0 ? ", " : "") + std::to_string(size(axis));
    return text + "]";
  }

 private:
  Py_buffer view_{};
};

}  // namespace offbeat_python
