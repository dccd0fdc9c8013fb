#include "common/index/index_access.hpp"

#include "common/base/float_environment.hpp"
#include "common/index/index_impl.hpp"
#include "cpu/proposer.hpp"

namespace concord {

cuda::Device& IndexAccess::device(const Index& index) {
  Index::Impl& impl = *index.impl_;
  DeferredLog log(impl.options.log);
  cuda::Device* device = nullptr;
  log.deliver_after([&] { device = &impl.device.require(log); });
  return *device;
}

const core::Contents& IndexAccess::contents(const Index& index) { return index.impl_->contents; }

std::uint64_t IndexAccess::number(const Index& index) noexcept { return index.impl_->number; }

const core::ReaderGate& IndexAccess::readers(const Index& index) { return index.impl_->readers; }

core::Digest IndexAccess::digest(const Index& index) {
  core::WriterLock::Pause pause(index.impl_->writer_lock);
  index.impl_->mapped.expect_sound(core::kAllParts);
  const auto reading = index.impl_->readers.enter();
  core::Digester digester(index.impl_->contents);
  pause.end();
  return digester.finish();
}

const LogCallback& IndexAccess::log_of(const Index& index) { return index.impl_->options.log; }

core::ThreadPool& IndexAccess::pool(const Index& index) { return *index.impl_->pool; }

std::size_t IndexAccess::add(Index& index, const NewRows& rows,
                             std::span<const std::uint64_t> labels,
                             const ProgressCallback& progress) {
  return index.impl_->add(rows, labels, progress);
}

std::size_t IndexAccess::update(Index& index, const NewRows& rows,
                                std::span<const std::uint64_t> labels,
                                const ProgressCallback& progress) {
  return index.impl_->replace(rows, labels, progress, Index::Impl::Unknown::are_refused);
}

std::size_t IndexAccess::upsert(Index& index, const NewRows& rows,
                                std::span<const std::uint64_t> labels,
                                const ProgressCallback& progress) {
  return index.impl_->replace(rows, labels, progress, Index::Impl::Unknown::are_added);
}

void IndexAccess::expect_not_its_own(const Index& index, const std::filesystem::path& path) {
  const core::Journal* const journal = index.impl_->journal.get();
  const std::filesystem::path& followed = index.impl_->followed;
  if (!followed.empty() && core::is_file_of(followed, path)) {
    throw Error(ErrorCode::invalid_parameter,
                "'" + path.string() + "' is a file that this very index follows");
  }
  if (journal == nullptr || !journal->is_own_file(path)) return;
  throw Error(ErrorCode::invalid_parameter,
              "'" + path.string() + "' is a file of this very index: compact() writes it");
}

IndexAccess::StandingStill IndexAccess::stand_still(const Index& index) {
  auto pause = std::make_unique<core::WriterLock::Pause>(index.impl_->writer_lock);
  index.impl_->mapped.expect_sound(core::kAllParts);
  return {index.impl_->contents, std::move(pause)};
}

Index IndexAccess::construct(const IndexParams& params, RuntimeOptions options,
                             const std::function<void(const Construction&)>& fill) {
  auto impl = std::make_unique<Index::Impl>(params, std::move(options));
  const core::FloatEnvironment environment;
  fill({impl->contents, impl->committer, *impl->pool, impl->build,
        [&parts = *impl](core::ThreadPool& pool, BuildStats& stats) {
          return std::make_unique<cpu::CpuProposer>(parts.contents, parts.metric_kernels(), pool,
                                                    stats);
        }});
  return Index(std::move(impl));
}

}  // namespace concord
