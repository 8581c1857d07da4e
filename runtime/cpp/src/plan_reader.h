#pragma once

#include "offbeat/result.h"
#include "plan.h"
#include "safetensors.h"

namespace offbeat {

/// The file's plan, resolved and validated. Its weights point into the file's content.
Result<Plan> read_plan(const SafetensorsFile& file);

}  // namespace offbeat
