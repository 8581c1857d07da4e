#pragma once

#include <memory>

#include "engine_program.h"
#include "offbeat/session.h"
#include "plan.h"

namespace offbeat {

/// Resolves a validated plan into operations, packs its weights and lays out its scratch.
std::unique_ptr<const Program> compile_program(const Plan& plan, const kernels::Kernels& kernels, Precision precision);

}  // namespace offbeat
