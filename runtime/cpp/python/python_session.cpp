#include "python_session.h"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "buffers.h"
#include "output_kinds.h"

namespace offbeat_python {
namespace {

using offbeat::ModelShape;
using offbeat::Outputs;
using offbeat::Precision;
using offbeat::Session;
using offbeat::Status;
using offbeat::Workspace;

// Multiply-adds, about, below which the interpreter's lock is kept. It is some 100 µs of work; having to wait for the
// lock again, behind a thread that computes in Python, takes up to 5,000.
constexpr std::size_t max_work_under_lock = 4'000'000;

Precision precision_of(std::string_view name) {
  constexpr std::pair<std::string_view, Precision> precisions[] = {{"stored", Precision::stored},
                                                                   {"float32", Precision::float32},
                                                                   {"float16", Precision::float16},
                                                                   {"bfloat16", Precision::bfloat16},
                                                                   {"int8", Precision::int8}};
  for (const auto& [known, precision] : precisions) {
    if (name == known) return precision;
  }
  throw nb::value_error(("precision is '" + std::string(name) + "'; expected stored, float32, float16, bfloat16 or int8").c_str());
}

Session opened(offbeat::Result<Session> loaded) {
  if (!loaded) throw nb::value_error(loaded.error().message.c_str());
  return std::move(loaded).value();
}

std::string join(std::span<const std::size_t> sizes) {
  std::string text = "[";
  for (const std::size_t size : sizes) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace

// Windows as they lie in memory, checked against the model's shape.
struct PythonSession::Windows {
  Buffer buffer;
  std::size_t n = 0;
  std::size_t time = 1;
  std::vector<float> aligned{};  // a copy, where the array does not begin at a multiple of 4 bytes

  Windows(nb::handle object, const ModelShape& shape) : buffer(object, 0, "windows") {
    const int n_axes = shape.has_time ? 3 : 2;
    if (!buffer.holds('f') || buffer.n_axes() != n_axes || buffer.size(n_axes - 1) != shape.n_features) {
      const std::string expected = std::string("'f' (float32) [batch, ") + (shape.has_time ? "time, " : "") + std::to_string(shape.n_features) + "]";
      throw nb::value_error(("windows are " + buffer.describe() + "; expected " + expected).c_str());
    }
    n = buffer.size(0);
    if (shape.has_time) time = buffer.size(1);
    if (reinterpret_cast<std::uintptr_t>(buffer.data()) % alignof(float) != 0) {
      aligned.resize(buffer.n_bytes() / sizeof(float));
      std::memcpy(aligned.data(), buffer.data(), buffer.n_bytes());
    }
  }

  [[nodiscard]] const float* data() const noexcept { return aligned.empty() ? static_cast<const float*>(buffer.data()) : aligned.data(); }
};

// The shape of one output for these windows.
struct PythonSession::Destination {
  std::array<std::size_t, 3> sizes{};
  std::size_t n_axes = 1;

  Destination(const Session& session, std::size_t n_windows, std::size_t time, std::size_t output) {
    const ModelShape& shape = session.shape();
    const OutputKind& kind = output_kinds[output];
    // A forecast has the window's steps, a reconstruction those that were decoded.
    const std::size_t n_steps = kind.floats == &Outputs::forecast ? time : session.n_output_steps(time);
    sizes[0] = n_windows;
    if (kind.axes == Axes::cls) add(shape.n_classes);
    if (kind.axes == Axes::step || (kind.axes == Axes::window && shape.has_time)) add(n_steps);
    if (kind.axes == Axes::feature || kind.axes == Axes::window) add(shape.n_features);
  }

  void add(std::size_t size) { sizes[n_axes++] = size; }
};

PythonSession::PythonSession(Session session) : session_(std::move(session)) {
  const nb::module_ numpy = nb::module_::import_("numpy");
  empty_ = numpy.attr("empty");
  float32_ = numpy.attr("dtype")("float32");
  bool_ = numpy.attr("dtype")("bool");
}

PythonSession PythonSession::load(nb::handle object, const std::string& isa, const std::string& precision, std::size_t n_threads) {
  const offbeat::SessionOptions options{isa, precision_of(precision), n_threads};
  // str, bytes or os.PathLike, in the file system's encoding; a zero byte inside is refused.
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(object.ptr(), &encoded) == 0) throw nb::python_error();
  const nb::object path = nb::steal(encoded);
  const auto loaded = [&] {
    const nb::gil_scoped_release released;
    return Session::load(PyBytes_AS_STRING(path.ptr()), options);
  };
  return PythonSession(opened(loaded()));
}

PythonSession PythonSession::parse(nb::handle content, const std::string& name, const std::string& isa, const std::string& precision,
                                   std::size_t n_threads) {
  const offbeat::SessionOptions options{isa, precision_of(precision), n_threads};
  const Buffer buffer(content, 0, "content");
  const std::span bytes(static_cast<const std::byte*>(buffer.data()), buffer.n_bytes());
  return PythonSession(opened(Session::load(bytes, name, options)));
}

std::size_t PythonSession::find_output(nb::handle name) const {
  Py_ssize_t n_bytes = 0;
  const char* text = PyUnicode_Check(name.ptr()) ? PyUnicode_AsUTF8AndSize(name.ptr(), &n_bytes) : nullptr;
  PyErr_Clear();
  const std::string_view wanted(text == nullptr ? "" : text, static_cast<std::size_t>(n_bytes));
  for (std::size_t index = 0; index < n_output_kinds; ++index) {
    if (output_kinds[index].name == wanted && has_output(session_.shape(), wanted)) return index;
  }
  throw nb::value_error(("output '" + std::string(wanted) + "'; this model has " + nb::cast<std::string>(nb::str(", ").attr("join")(output_names()))).c_str());
}

nb::object PythonSession::new_array(const Windows& windows, std::size_t output) const {
  const Destination destination(session_, windows.n, windows.time, output);
  nb::object sizes = nb::steal(PyTuple_New(static_cast<Py_ssize_t>(destination.n_axes)));
  for (std::size_t axis = 0; axis < destination.n_axes; ++axis) {
    PyTuple_SET_ITEM(sizes.ptr(), static_cast<Py_ssize_t>(axis), PyLong_FromSize_t(destination.sizes[axis]));
  }
  PyObject* const arguments[] = {sizes.ptr(), (output_kinds[output].floats == nullptr ? bool_ : float32_).ptr()};
  PyObject* const array = PyObject_Vectorcall(empty_.ptr(), arguments, 2, nullptr);
  if (array == nullptr) throw nb::python_error();
  return nb::steal(array);
}

namespace {

// The arrays' buffers, released together once they are written.
class Targets {
 public:
  void add(nb::handle array, std::size_t output, std::span<const std::size_t> sizes) {
    const OutputKind& kind = output_kinds[output];
    Buffer& buffer = buffers_[n_++].emplace(array, PyBUF_WRITABLE, kind.name);
    const char type = kind.floats == nullptr ? '?' : 'f';
    bool fits = buffer.holds(type) && buffer.n_axes() == static_cast<int>(sizes.size());
    for (std::size_t axis = 0; fits && axis < sizes.size(); ++axis) fits = buffer.size(static_cast<int>(axis)) == sizes[axis];
    if (!fits || reinterpret_cast<std::uintptr_t>(buffer.data()) % (kind.floats == nullptr ? 1 : alignof(float)) != 0) {
      throw nb::value_error((std::string(kind.name) + " is " + buffer.describe() + "; expected an aligned '" + type + "' " + join(sizes)).c_str());
    }
    if (kind.floats == nullptr) {
      outputs.is_anomaly = static_cast<bool*>(buffer.data());
    } else {
      outputs.*kind.floats = static_cast<float*>(buffer.data());
    }
  }

  Outputs outputs{};

 private:
  std::array<std::optional<Buffer>, n_output_kinds> buffers_;
  std::size_t n_ = 0;
};

}  // namespace

nb::dict PythonSession::score(nb::handle windows_object, nb::handle names) {
  const Windows windows(windows_object, session_.shape());
  const nb::object sequence = nb::steal(PySequence_Fast(names.ptr(), "outputs: expected a sequence of names"));
  if (!sequence.is_valid()) throw nb::python_error();
  nb::dict arrays;
  Targets targets;
  for (Py_ssize_t index = 0; index < PySequence_Fast_GET_SIZE(sequence.ptr()); ++index) {
    PyObject* const name = PySequence_Fast_GET_ITEM(sequence.ptr(), index);
    const std::size_t output = find_output(name);
    if (PyDict_Contains(arrays.ptr(), name) != 0) throw nb::value_error("outputs: expected each name at most once");
    const nb::object array = new_array(windows, output);
    if (PyDict_SetItem(arrays.ptr(), name, array.ptr()) != 0) throw nb::python_error();
    const Destination destination(session_, windows.n, windows.time, output);
    targets.add(array, output, std::span(destination.sizes).first(destination.n_axes));
  }
  run(windows, targets.outputs);
  return arrays;
}

void PythonSession::score_into(nb::handle windows_object, const nb::dict& outputs) {
  const Windows windows(windows_object, session_.shape());
  Targets targets;
  for (const auto& [name, array] : outputs) {
    const std::size_t output = find_output(name);
    const Destination destination(session_, windows.n, windows.time, output);
    targets.add(array, output, std::span(destination.sizes).first(destination.n_axes));
  }
  run(windows, targets.outputs);
}

Workspace PythonSession::take_workspace(std::size_t time) {
  if (time <= workspace_time_ && !idle_workspaces_.empty()) {
    Workspace workspace = std::move(idle_workspaces_.back());
    idle_workspaces_.pop_back();
    return workspace;
  }
  // Rounded up, so that windows that grow step by step do not make a new workspace each.
  const std::size_t made_for = std::max(workspace_time_, std::bit_ceil(time));
  offbeat::Result<Workspace> made = session_.workspace(made_for);
  if (!made) throw nb::value_error(made.error().message.c_str());
  if (made_for > workspace_time_) idle_workspaces_.clear();
  workspace_time_ = made_for;
  return std::move(made).value();
}

std::size_t PythonSession::n_output_bytes(std::size_t output, std::size_t n_windows, std::size_t time) const {
  const Destination destination(session_, n_windows, time, output);
  std::size_t n_bytes = output_kinds[output].floats == nullptr ? sizeof(bool) : sizeof(float);
  for (std::size_t axis = 0; axis < destination.n_axes; ++axis) n_bytes *= destination.sizes[axis];
  return n_bytes;
}

Status PythonSession::score_rows(const float* windows, std::size_t n, std::size_t time, const Outputs& outputs) {
  Workspace workspace = take_workspace(time);
  const std::size_t made_for = workspace_time_;
  const std::size_t work = n * time * session_.shape().n_parameters;
  Status status{};
  if (work > max_work_under_lock) {
    const nb::gil_scoped_release released;
    status = session_.score(windows, n, time, outputs, workspace);
  } else {
    status = session_.score(windows, n, time, outputs, workspace);
  }
  // Another thread may have asked for longer windows meanwhile.
  if (made_for == workspace_time_) idle_workspaces_.push_back(std::move(workspace));
  return status;
}

void PythonSession::run(const Windows& windows, const Outputs& outputs) {
  const Status status = score_rows(windows.data(), windows.n, windows.time, outputs);
  if (status == Status::wrong_time) {
    const ModelShape& shape = session_.shape();
    const std::string expected = shape.is_time_dynamic ? "at least 1" : std::to_string(shape.n_steps);
    throw nb::value_error(("windows have " + std::to_string(windows.time) + " steps; expected " + expected).c_str());
  }
  if (status != Status::ok) throw nb::value_error(std::string(offbeat::describe(status)).c_str());
}

nb::tuple PythonSession::output_names() const {
  nb::list names;
  for (const OutputKind& kind : output_kinds) {
    if (has_output(session_.shape(), kind.name)) names.append(nb::str(kind.name.data(), kind.name.size()));
  }
  return nb::tuple(names);
}

}  // namespace offbeat_python
