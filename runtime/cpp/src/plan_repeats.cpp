#include "plan_repeats.h"

#include <algorithm>
#include <span>

namespace offbeat {
namespace {

/// Whether a step of what comes out depends on no later step of what goes in, and nothing else is taken from the steps.
bool looks_back_only(const Layer& layer) {
  if (const auto* lstm = std::get_if<LstmLayer>(&layer.kind)) return lstm->final_state == no_slot;
  return std::holds_alternative<LinearLayer>(layer.kind) || std::holds_alternative<BatchNormLayer>(layer.kind) ||
         std::holds_alternative<ActivationLayer>(layer.kind);
}

}  // namespace

std::optional<std::string> bound_repeats(std::vector<Layer>& layers) {
  for (std::size_t index = 0; index < layers.size(); ++index) {
    auto* repeat = std::get_if<RepeatLayer>(&layers[index].kind);
    if (repeat == nullptr) continue;
    const auto behind = std::span(layers).subspan(index + 1);
    repeat->is_cut = std::all_of(behind.begin(), behind.end(), looks_back_only);
    if (!repeat->is_cut && repeat->n_repeats.value_or(0) > max_repeats) {
      return "[" + std::to_string(index) + "]: n_repeats is " + std::to_string(*repeat->n_repeats) + "; expected at most " +
             std::to_string(max_repeats) + ", since a layer behind needs all of them";
    }
  }
  return std::nullopt;
}

}  // namespace offbeat
