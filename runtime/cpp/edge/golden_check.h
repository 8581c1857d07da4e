#pragma once

#include <vector>

#include "golden.h"
#include "model.h"
#include "offbeat/result.h"

namespace offbeat::edge {

/// Replays the golden windows of a version folder on its session: the deviation of each output.
Result<std::vector<Deviation>> replay_folder(const Model& model);

/// The same, for whoever is about to score: an error where an output is beyond its bound. A file alone has nothing to replay.
Result<bool> require_golden(const Model& model);

}  // namespace offbeat::edge
