#include "common/index/presets.hpp"

#include <algorithm>
#include <concord/error.hpp>
#include <string>
#include <tuple>

#include "common/base/number_text.hpp"
#include "common/file/presets_file.hpp"
#include "common/index/index_impl.hpp"

namespace concord {
namespace {

bool comes_before(const Preset& a, const Preset& b) noexcept {
  return std::tie(a.k, a.recall) < std::tie(b.k, b.recall);
}

std::string name_of(double recall, std::uint32_t k) {
  return "recall " + core::text_of(recall) + " at k = " + std::to_string(k);
}

}  // namespace

void Presets::put(const Preset& preset) {
  const Hold hold(lock_);
  const auto place = std::lower_bound(all_.begin(), all_.end(), preset, comes_before);
  if (place != all_.end() && !comes_before(preset, *place)) {
    *place = preset;
  } else if (all_.size() < kMost) {
    all_.insert(place, preset);
  } else {
    throw Error(ErrorCode::invalid_parameter, "the index remembers " + std::to_string(kMost) +
                                                  " presets already, which is the most");
  }
}

void Presets::replace(std::vector<Preset> all) {
  std::stable_sort(all.begin(), all.end(), comes_before);
  const auto is_same = [](const Preset& a, const Preset& b) { return !comes_before(a, b); };
  all.erase(std::unique(all.begin(), all.end(), is_same), all.end());
  const Hold hold(lock_);
  all_ = std::move(all);
}

std::vector<Preset> Presets::all() const {
  const Hold hold(lock_);
  return all_;
}

// Insertions and removals since are counted, not sizes, because a replacement changes the content
// and not the size. Of counts that are smaller the history is another one.
Preset Presets::find(double recall, std::uint32_t k, const core::Graph& graph) const {
  const std::vector<Preset> known = all();
  std::uint64_t insertions;  // counted after the presets were read, so that none is newer
  std::uint64_t removals;
  std::uint64_t reclaimed;
  do {  // a slide may end meanwhile
    reclaimed = graph.reclaimed();
    insertions = graph.insertions();
    removals = graph.removals();
  } while (graph.reclaimed() != reclaimed);
  const auto found = std::find_if(known.begin(), known.end(), [&](const Preset& preset) {
    return preset.k == k && preset.recall >= recall;
  });
  if (found == known.end()) {
    throw Error(ErrorCode::unknown_preset, "no preset is known for " + name_of(recall, k) +
                                               "; tune() finds one and remembers it");
  }
  const bool is_of_history = found->insertions <= insertions && found->removals <= removals;
  const std::uint64_t changes =
      is_of_history ? insertions - found->insertions + (removals - found->removals) : 0;
  if (is_of_history && changes <= found->size) return *found;
  throw Error(ErrorCode::unknown_preset,
              "the preset for " + name_of(found->recall, k) + " is of an index of " +
                  std::to_string(found->size) + " vectors, which has changed too much since (" +
                  (is_of_history ? std::to_string(changes) + " insertions and removals"
                                 : std::string("its history is another one")) +
                  "); call tune() again");
}

SearchParams Index::preset(double recall, std::uint32_t k) const {
  if (!(recall > 0 && recall < 1)) {
    throw Error(ErrorCode::invalid_parameter,
                "recall is " + core::text_of(recall) + "; allowed are numbers above 0 and below 1");
  }
  return impl_->presets.find(recall, k, impl_->contents.graph).params();
}

std::vector<Preset> Index::presets() const { return impl_->presets.all(); }

void Index::remember(const Preset& preset) {
  core::check_preset(preset);
  check_search(preset.params(), params().metric);
  if (!impl_->journal) return impl_->presets.put(preset);
  const core::WriterLock::Writing writing(impl_->writer_lock);  // so that the last one writes all
  impl_->journal->check_files();
  impl_->presets.put(preset);
  core::write_presets(impl_->journal->index_path(), impl_->presets.all());
}

void Index::Impl::read_presets(const std::filesystem::path& path) {
  std::vector<Preset> read = core::read_presets(path);
  try {
    for (const Preset& preset : read) check_search(preset.params(), contents.graph.params().metric);
  } catch (const Error& error) {
    throw Error(ErrorCode::corrupt_file,
                "the presets of '" + path.string() + "' are not of this index: " + error.what());
  }
  presets.replace(std::move(read));
}

}  // namespace concord
