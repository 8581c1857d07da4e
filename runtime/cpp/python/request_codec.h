#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "python_session.h"
#include "request_wire.h"

namespace offbeat_python {

/// How one service writes requests and answers.
struct Protocol {
  bool (*read)(std::string_view bytes, WireRequest& request) noexcept;
  char id_tag;  // of the answer's id, a text
};

/// One output of an answer: the bytes that stand before its values, which ones they are, and how many bytes they have.
struct AnswerPart {
  std::string before;
  std::size_t output;
  std::size_t n_bytes;
  std::size_t scratch;  // where its values begin in the scratch memory
};

/// What all requests of one form have in common, and what has been counted of them since it was asked last.
struct KnownForm {
  std::size_t number;
  // What a request must say to be of this form.
  std::string model;
  std::string version_text;
  std::uint64_t version_number;
  std::vector<std::string> outputs;
  std::vector<std::uint64_t> shape;
  // How it is answered.
  nb::object session_object;
  PythonSession* session;
  std::size_t n_rows;
  std::size_t n_steps;
  std::size_t n_window_bytes;
  std::vector<AnswerPart> parts;
  std::size_t n_answer_bytes;  // without an id
  std::string timing_begin, timing_middle, timing_end;
  // Counted: seconds of the scoring, seconds in all, and anomaly scores.
  std::vector<double> compute_s, total_s;
  std::vector<float> scores;
  double last_at = 0.0;

  [[nodiscard]] bool matches(const WireRequest& request) const noexcept;
};

/// A request of a known form, on its way to an answer.
class KnownRequest {
 public:
  KnownRequest(std::shared_ptr<KnownForm> form, nb::object bytes, const WireRequest& wire, char id_tag, double started)
      : form_(std::move(form)), bytes_(std::move(bytes)), id_(wire.id), data_(wire.data), priority_(wire.priority), id_tag_(id_tag), started_(started) {}

  [[nodiscard]] std::size_t form() const noexcept { return form_->number; }
  [[nodiscard]] std::string_view id() const noexcept { return id_; }
  [[nodiscard]] std::uint64_t priority() const noexcept { return priority_; }
  /// The windows' bytes, to be scored elsewhere; None where they are not finite.
  nb::object windows() const;
  /// The answer's bytes and its timing; None where the windows are not finite.
  nb::object score();

 private:
  nb::bytes encoded(const std::byte* scratch) const;

  std::shared_ptr<KnownForm> form_;
  nb::object bytes_;  // keeps what the views see
  std::string_view id_, data_;
  std::uint64_t priority_;
  char id_tag_;
  double started_;
};

/// Reads requests of forms that it has learnt. Belongs to one thread.
class RequestCodec {
 public:
  RequestCodec(std::string_view protocol, std::size_t max_answer_bytes);

  /// Learns the form of a request that Python has answered; its number, from 0 in their order, or None where it is known
  /// already, or requests like it are left to Python. Whoever learns bounds the number of forms: they are looked through one by one.
  std::optional<std::size_t> learn(const nb::bytes& request, nb::handle session, const nb::tuple& outputs, const nb::list& before,
                                   const nb::tuple& timing);
  /// A request of a known form; None for any other, and where the answer would be too large.
  std::optional<KnownRequest> read(const nb::bytes& request);
  /// What was counted of a form since the last time: seconds of scoring and in all as float64, scores as float32, and the end of
  /// the last, on the clock of time.monotonic.
  nb::tuple take(std::size_t form);
  /// Forgets every form.
  void forget() noexcept { forms_.clear(); }

 private:
  [[nodiscard]] std::vector<std::shared_ptr<KnownForm>>::const_iterator find(const WireRequest& wire) const noexcept;

  Protocol protocol_;
  std::size_t max_answer_bytes_;
  std::vector<std::shared_ptr<KnownForm>> forms_;
};

/// Adds the classes RequestCodec and KnownRequest.
void bind_request_codec(nb::module_& module);

}  // namespace offbeat_python
