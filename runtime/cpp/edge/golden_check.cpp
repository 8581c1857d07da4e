#include "golden_check.h"

#include "version_folder.h"

namespace offbeat::edge {

Result<std::vector<Deviation>> replay_folder(const Model& model) {
  const Result<FileContent> archive = read_listed(model.folder, *model.manifest, golden_name);
  if (!archive) return archive.error();
  const std::string path = model.folder + "/" + std::string(golden_name);
  const Result<Golden> golden = read_golden(archive.value().bytes(), *model.manifest, model.session, path);
  if (!golden) return golden.error();
  return replay(golden.value(), *model.manifest, model.session);
}

Result<bool> require_golden(const Model& model) {
  if (!model.manifest) return true;
  const Result<std::vector<Deviation>> deviations = replay_folder(model);
  if (!deviations) return deviations.error();
  if (is_within(deviations.value())) return true;
  return Error{model.folder + ": the golden windows do not get their golden outputs on " + std::string(model.session.isa()) +
               "; `offbeat-edge verify` says which"};
}

}  // namespace offbeat::edge
