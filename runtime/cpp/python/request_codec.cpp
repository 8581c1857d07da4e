#include "request_codec.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string_view.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "output_kinds.h"

namespace offbeat_python {
namespace {


double now() noexcept {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string_view view(const nb::bytes& bytes) noexcept { return {bytes.c_str(), bytes.size()}; }

std::string text_of(nb::handle object) { return nb::cast<std::string_view>(object).data(); }

template <class Value>
nb::bytes as_bytes(const std::vector<Value>& values) {
  return nb::bytes(values.data(), values.size() * sizeof(Value));
}

Protocol protocol_of(std::string_view name) {
  if (name == "score") return {read_score_request, '\x0A'};
  if (name == "infer") return {read_infer_request, '\x1A'};
  throw nb::value_error(("protocol is '" + std::string(name) + "'; expected score or infer").c_str());
}

/// Bytes of float32 values of that shape; 0 where they are none, or more than `most`.
std::size_t n_float_bytes(std::span<const std::uint64_t> shape, std::size_t most) noexcept {
  std::size_t n_bytes = sizeof(float);
  for (const std::uint64_t size : shape) {
    if (size > most / n_bytes) return 0;
    n_bytes *= size;
    if (n_bytes == 0) return 0;
  }
  return n_bytes;
}

std::size_t n_varint_bytes(std::size_t value) noexcept {
  std::size_t n_bytes = 1;
  for (; value > 0x7F; value >>= 7U) ++n_bytes;
  return n_bytes;
}

std::size_t n_id_bytes(std::string_view id) noexcept { return id.empty() ? 0 : 1 + n_varint_bytes(id.size()) + id.size(); }

char* write(char* to, std::string_view text) noexcept { return std::copy(text.begin(), text.end(), to); }

char* write_id(char* to, char tag, std::string_view id) noexcept {
  if (id.empty()) return to;
  *to++ = tag;
  std::size_t length = id.size();
  for (; length > 0x7F; length >>= 7U) *to++ = static_cast<char>((length & 0x7FU) | 0x80U);
  *to++ = static_cast<char>(length);
  return write(to, id);
}

std::size_t round_up(std::size_t n_bytes) noexcept { return (n_bytes + 63) / 64 * 64; }

}  // namespace

bool KnownForm::matches(const WireRequest& request) const noexcept {
  return request.model == model && request.version_number == version_number && request.version_text == version_text &&
         std::equal(shape.begin(), shape.end(), request.shape.begin(), request.shape.begin() + static_cast<std::ptrdiff_t>(request.n_axes)) &&
         std::equal(outputs.begin(), outputs.end(), request.outputs.begin(),
                    request.outputs.begin() + static_cast<std::ptrdiff_t>(request.n_outputs)) &&
         request.data.size() == n_window_bytes;
}

nb::bytes KnownRequest::encoded(const std::byte* scratch) const {
  nb::bytes answer = nb::steal<nb::bytes>(
      PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(form_->n_answer_bytes + n_id_bytes(id_))));
  if (!answer.is_valid()) throw nb::python_error();
  char* to = write_id(PyBytes_AS_STRING(answer.ptr()), id_tag_, id_);
  for (const AnswerPart& part : form_->parts) {
    to = write(to, part.before);
    std::memcpy(to, scratch + part.scratch, part.n_bytes);
    to += part.n_bytes;
  }
  return answer;
}

nb::object KnownRequest::windows() const {
  nb::bytes copy(data_.data(), data_.size());
  // All ones in the exponent; a copy, since the message has no floats at multiples of 4 bytes.
  constexpr std::uint32_t exponent = 0x7F800000;
  const auto* const bits = reinterpret_cast<const std::uint32_t*>(copy.c_str());
  bool is_finite = true;
  for (std::size_t index = 0; index < data_.size() / sizeof(float); ++index) is_finite &= (bits[index] & exponent) != exponent;
  if (!is_finite) return nb::none();
  return copy;
}

nb::object KnownRequest::score() {
  KnownForm& form = *form_;
  const AnswerPart& last = form.parts.back();
  // Windows lie where the message has them, mostly not at a multiple of 4 bytes; values are written to one, too.
  const bool is_aligned = reinterpret_cast<std::uintptr_t>(data_.data()) % alignof(float) == 0;
  const std::size_t n_scratch = last.scratch + round_up(last.n_bytes);
  std::vector<float> memory((n_scratch + (is_aligned ? 0 : data_.size())) / sizeof(float));
  auto* const scratch = reinterpret_cast<std::byte*>(memory.data());
  const float* windows = reinterpret_cast<const float*>(data_.data());
  if (!is_aligned) {
    std::memcpy(scratch + n_scratch, data_.data(), data_.size());
    windows = memory.data() + n_scratch / sizeof(float);
  }
  offbeat::Outputs outputs{};
  for (const AnswerPart& part : form.parts) {
    const OutputKind& kind = output_kinds[part.output];
    std::byte* const to = scratch + part.scratch;
    if (kind.floats == nullptr) {
      outputs.is_anomaly = reinterpret_cast<bool*>(to);
    } else {
      outputs.*kind.floats = reinterpret_cast<float*>(to);
    }
  }
  const double begun = now();
  if (form.session->score_rows(windows, form.n_rows, form.n_steps, outputs) != offbeat::Status::ok) return nb::none();
  const double scored = now();
  nb::bytes answer = encoded(scratch);
  const double compute_s = scored - begun;
  std::array<char, 20> digits{};
  const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), std::llrint(compute_s * 1e6));
  const std::string_view us(digits.data(), static_cast<std::size_t>(written.ptr - digits.data()));
  std::string timing;
  timing.reserve(form.timing_begin.size() + form.timing_middle.size() + form.timing_end.size() + 2 * us.size());
  timing.append(form.timing_begin).append(us).append(form.timing_middle).append(us).append(form.timing_end);
  if (outputs.anomaly_score != nullptr) form.scores.insert(form.scores.end(), outputs.anomaly_score, outputs.anomaly_score + form.n_rows);
  form.compute_s.push_back(compute_s);
  form.last_at = now();
  form.total_s.push_back(form.last_at - started_);
  return nb::make_tuple(std::move(answer), nb::str(timing.data(), timing.size()));
}

RequestCodec::RequestCodec(std::string_view protocol, std::size_t max_answer_bytes)
    : protocol_(protocol_of(protocol)), max_answer_bytes_(max_answer_bytes) {}

std::optional<std::size_t> RequestCodec::learn(const nb::bytes& request, nb::handle session, const nb::tuple& outputs, const nb::list& before,
                                               const nb::tuple& timing) {
  WireRequest wire;
  if (!protocol_.read(view(request), wire) || find(wire) != forms_.end()) return {};
  auto form = std::make_shared<KnownForm>();
  form->number = forms_.size();
  form->model = wire.model;
  form->version_text = wire.version_text;
  form->version_number = wire.version_number;
  form->outputs.assign(wire.outputs.begin(), wire.outputs.begin() + static_cast<std::ptrdiff_t>(wire.n_outputs));
  form->shape.assign(wire.shape.begin(), wire.shape.begin() + static_cast<std::ptrdiff_t>(wire.n_axes));
  form->session_object = nb::borrow(session);
  form->session = &nb::cast<PythonSession&>(session);
  if (form->shape.size() != (form->session->session().shape().has_time ? 3U : 2U)) return {};
  form->n_rows = form->shape.front();
  form->n_steps = form->shape.size() == 3 ? form->shape[1] : 1;
  form->n_window_bytes = wire.data.size();
  if (n_float_bytes(form->shape, wire.data.size()) != wire.data.size()) return {};
  for (std::size_t index = 0; index < outputs.size(); ++index) {
    const std::size_t output = form->session->find_output(outputs[index]);
    const std::size_t n_bytes = form->session->n_output_bytes(output, form->n_rows, form->n_steps);
    const AnswerPart* const last = form->parts.empty() ? nullptr : &form->parts.back();
    const std::size_t scratch = last == nullptr ? 0 : last->scratch + round_up(last->n_bytes);
    const std::string head(view(nb::cast<nb::bytes>(before[index])));
    form->n_answer_bytes += head.size() + n_bytes;
    form->parts.push_back({head, output, n_bytes, scratch});
  }
  if (form->parts.empty()) return {};
  form->timing_begin = text_of(timing[0]);
  form->timing_middle = text_of(timing[1]);
  form->timing_end = text_of(timing[2]);
  forms_.push_back(std::move(form));
  return forms_.back()->number;
}

std::vector<std::shared_ptr<KnownForm>>::const_iterator RequestCodec::find(const WireRequest& wire) const noexcept {
  return std::find_if(forms_.begin(), forms_.end(), [&](const auto& form) { return form->matches(wire); });
}

std::optional<KnownRequest> RequestCodec::read(const nb::bytes& request) {
  const double started = now();
  WireRequest wire;
  if (!protocol_.read(view(request), wire)) return {};
  const auto found = find(wire);
  if (found == forms_.end()) return {};
  const KnownForm& form = **found;
  if (form.n_answer_bytes + n_id_bytes(wire.id) > max_answer_bytes_) return {};
  return KnownRequest(*found, request, wire, protocol_.id_tag, started);
}

nb::tuple RequestCodec::take(std::size_t number) {
  if (number >= forms_.size()) throw nb::index_error("no such form");
  KnownForm& form = *forms_[number];
  nb::tuple counted = nb::make_tuple(as_bytes(form.compute_s), as_bytes(form.total_s), as_bytes(form.scores), form.last_at);
  form.compute_s.clear();
  form.total_s.clear();
  form.scores.clear();
  return counted;
}

void bind_request_codec(nb::module_& module) {
  using namespace nb::literals;
  nb::class_<KnownRequest>(module, "KnownRequest", "A request of a form that a codec has learnt, not yet scored.")
      .def_prop_ro("form", &KnownRequest::form, "The number that `learn` gave.")
      .def_prop_ro("id", &KnownRequest::id, "The caller's.")
      .def_prop_ro("priority", &KnownRequest::priority, "0 for the default one.")
      .def("windows", &KnownRequest::windows, "The windows' bytes, or None where they are not finite.")
      .def("score", &KnownRequest::score, "The answer's bytes and its timing, or None where the windows are not finite; to be called once.");
  nb::class_<RequestCodec>(module, "RequestCodec",
                           "Reads and answers requests of known forms from their bytes to the answer's. Whatever it does not know is None, and\n"
                           "for protobuf. Belongs to one thread.")
      .def(nb::init<std::string_view, std::size_t>(), "protocol"_a, "max_answer_bytes"_a,
           "`protocol` is \"score\" (offbeat.v1) or \"infer\" (Open Inference Protocol).")
      .def("learn", &RequestCodec::learn, "request"_a, "session"_a, "outputs"_a, "before"_a, "timing"_a,
           "Learns the form of a request that has been found good; its number, or None where such requests cannot be taken.\n"
           "`before` are the answer's bytes before each output's values, `timing` the parts of its timing around twice the µs of scoring.")
      .def("read", &RequestCodec::read, "request"_a, "A request of a known form, else None.")
      .def("take", &RequestCodec::take, "form"_a,
           "What was counted of a form since the last time: float64 seconds of scoring, float64 seconds in all, float32 anomaly\n"
           "scores, and when the last ended, on the clock of time.monotonic.")
      .def("forget", &RequestCodec::forget, "Forgets every form, with what was counted.");
}

}  // namespace offbeat_python
