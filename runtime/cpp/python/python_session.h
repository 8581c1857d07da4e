#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "offbeat/session.h"

namespace offbeat_python {

namespace nb = nanobind;

/// What Python sees of a Session: arrays in, arrays out, and workspaces that threads lend from it one after the other.
class PythonSession {
 public:
  static PythonSession load(nb::handle path, const std::string& isa, const std::string& precision, std::size_t n_threads);
  static PythonSession parse(nb::handle content, const std::string& name, const std::string& isa, const std::string& precision,
                             std::size_t n_threads);

  /// Scores into new arrays, by name.
  nb::dict score(nb::handle windows, nb::handle outputs);
  /// Scores into arrays that are given by name.
  void score_into(nb::handle windows, const nb::dict& outputs);

  /// Scores checked windows into memory; the interpreter's lock is held by the caller, and given up for long work.
  offbeat::Status score_rows(const float* windows, std::size_t n, std::size_t time, const offbeat::Outputs& outputs);

  /// The index in output_kinds of an output by its name. Raises ValueError where the model has none of that name.
  [[nodiscard]] std::size_t find_output(nb::handle name) const;
  /// Bytes of an output for so many windows.
  [[nodiscard]] std::size_t n_output_bytes(std::size_t output, std::size_t n_windows, std::size_t time) const;

  [[nodiscard]] const offbeat::Session& session() const noexcept { return session_; }
  [[nodiscard]] nb::tuple output_names() const;

 private:
  struct Windows;
  struct Destination;

  explicit PythonSession(offbeat::Session session);

  void run(const Windows& windows, const offbeat::Outputs& outputs);
  offbeat::Workspace take_workspace(std::size_t time);
  nb::object new_array(const Windows& windows, std::size_t output) const;

  offbeat::Session session_;
  // The interpreter's lock guards it: workspaces are taken and given back while it is held.
  std::vector<offbeat::Workspace> idle_workspaces_;
  std::size_t workspace_time_ = 0;
  nb::object empty_;
  nb::object float32_;
  nb::object bool_;
};

}  // namespace offbeat_python
