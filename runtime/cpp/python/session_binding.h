#pragma once

#include <nanobind/nanobind.h>

namespace offbeat_python {

/// Adds the class Session.
void bind_session(nanobind::module_& module);

}  // namespace offbeat_python
