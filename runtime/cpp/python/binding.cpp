#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include "offbeat/cpu_features.h"
#include "offbeat/version.h"
#include "request_codec.h"
#include "session_binding.h"

namespace nb = nanobind;

NB_MODULE(_offbeat_ext, module) {
  // A process may end while a thread of a server still holds a session: nothing to tell its user.
  nb::set_leak_warnings(false);
  module.def("version", &offbeat::version, "The version of the native core.");
  module.def(
      "cpu_features",
      [] {
        const offbeat::CpuFeatures features = offbeat::cpu_features();
        nb::dict by_name;
        by_name["avx2"] = features.avx2;
        by_name["fma"] = features.fma;
        by_name["f16c"] = features.f16c;
        by_name["avx512f"] = features.avx512f;
        by_name["avx512bw"] = features.avx512bw;
        by_name["avx512dq"] = features.avx512dq;
        by_name["avx512vl"] = features.avx512vl;
        by_name["avx512_vnni"] = features.avx512_vnni;
        by_name["avx512_bf16"] = features.avx512_bf16;
        by_name["neon"] = features.neon;
        return by_name;
      },
      "Which vector extensions the processor and the system let a kernel use, by name.");
  offbeat_python::bind_session(module);
  offbeat_python::bind_request_codec(module);
}
