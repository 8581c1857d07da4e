#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arguments.h"
#include "manifest.h"
#include "offbeat/result.h"
#include "offbeat/session.h"

namespace offbeat::edge {

/// A loaded scorer with what is known of it: all of a manifest, or nothing but its file.
struct Model {
  std::string folder;                ///< of the version; empty for a file alone
  std::optional<Manifest> manifest;  ///< of a version folder
  std::string file;                  ///< path of the model.safetensors
  Session session;

  /// The manifest's names, or `feature_0`, `feature_1`, ….
  [[nodiscard]] std::vector<std::string> feature_names() const;
  /// Rows of a window: those asked for, else as the model was trained, 1 for tables; an error where nothing says how many.
  [[nodiscard]] Result<std::size_t> n_steps(std::size_t asked) const;
};

/// The flags that say how a model is loaded: --isa, --precision, --threads.
inline constexpr Flag session_flags[] = {{"isa"}, {"precision"}, {"threads"}};

Result<SessionOptions> session_options(const Arguments& arguments);

/// The name of a precision as --precision takes it.
std::string_view precision_name(Precision precision) noexcept;

/// Opens a `model.safetensors`, a model version folder, or a model's folder, of which the newest version is taken.
///
/// A folder must be what its manifest says: no file more or less, every size and SHA-256 as listed, and a scorer of the same features and
/// threshold. Nothing is replayed here.
Result<Model> open_model(const char* target, const SessionOptions& options);

}  // namespace offbeat::edge
