#include "session_binding.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <cstddef>
#include <string_view>

#include "offbeat/session.h"
#include "python_session.h"

namespace offbeat_python {
namespace {

using offbeat::ModelShape;
using offbeat::Precision;

std::string_view name_of(Precision precision) {
  constexpr std::string_view names[] = {"stored", "float32", "float16", "bfloat16", "int8"};
  return names[static_cast<std::size_t>(precision)];
}

}  // namespace

void bind_session(nb::module_& module) {
  using namespace nb::literals;
  const auto shape = [](auto member) { return [member](const PythonSession& self) { return self.session().shape().*member; }; };
  nb::class_<PythonSession>(module, "Session", "A loaded `model.safetensors`. Immutable: any number of threads may score at once.")
      .def_static("load", &PythonSession::load, "path"_a, nb::kw_only(), "isa"_a = "", "precision"_a = "stored", "n_threads"_a = 1,
                  "Loads a file. `isa` \"\" takes the best instruction set of this CPU, `precision` \"stored\" what the file holds;\n"
                  "`n_threads` split a large batch. Raises ValueError, saying what was seen, what was expected, and where.")
      .def_static("parse", &PythonSession::parse, "content"_a, "name"_a = "model.safetensors", nb::kw_only(), "isa"_a = "",
                  "precision"_a = "stored", "n_threads"_a = 1,
                  "The same from the file's content, which is not needed afterwards; `name` stands for the path in messages.")
      .def("score", &PythonSession::score, "windows"_a, "outputs"_a,
           "The outputs of those names as new arrays, and no others. `windows` are float32 [batch, time, feature] or [batch, feature]\n"
           "in raw units, C-contiguous, and are not copied. Raises ValueError for windows that do not fit or are not finite, TypeError\n"
           "for what is no such array.")
      .def("score_into", &PythonSession::score_into, "windows"_a, "outputs"_a,
           "Like `score`, into arrays that are given by name: C-contiguous, of the output's type and shape, none of them part of\n"
           "`windows`.")
      .def_prop_ro("output_names", &PythonSession::output_names, "What the model can give.")
      .def_prop_ro("n_features", shape(&ModelShape::n_features), "Features of a window.")
      .def_prop_ro("has_time", shape(&ModelShape::has_time), "Whether windows have steps; else they are rows of a table.")
      .def_prop_ro("n_steps", shape(&ModelShape::n_steps), "Steps of a window where their number is fixed, else 0.")
      .def_prop_ro("n_parameters", shape(&ModelShape::n_parameters), "Numbers in the file.")
      .def_prop_ro("threshold", shape(&ModelShape::threshold), "The reconstruction error above which a window is an anomaly.")
      .def_prop_ro("isa", [](const PythonSession& self) { return self.session().isa(); }, "The instruction set it computes with.")
      .def_prop_ro("precision", [](const PythonSession& self) { return name_of(self.session().precision()); },
                   "How most of the weights are kept and multiplied, never `stored`.");
}

}  // namespace offbeat_python
