// The manifest of a ShardedIndex, beside two sound files of shards, in a file system in memory. Its
// checksum is made right before loading, since otherwise hardly an input would get past it; not
// where its last byte is odd.
#include <concord/sharded_index.hpp>
#include <cstring>

#include "common/base/xxh3.hpp"
#include "tests/fuzz/fuzz_target.hpp"
#include "tests/fuzz/sharded_folder.hpp"
#include "tests/support/memory_file_system.hpp"

namespace {

void sign(std::vector<char>& manifest) {
  constexpr std::size_t kChecksum = sizeof(std::uint64_t);
  if (manifest.size() < kChecksum || manifest.back() % 2 != 0) return;
  const std::size_t signed_bytes = manifest.size() - kChecksum;
  const std::uint64_t checksum = XXH3_64bits(manifest.data(), signed_bytes);
  std::memcpy(manifest.data() + signed_bytes, &checksum, kChecksum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace concord;
  static test::MemoryFileSystem disk;
  const test::ScopedFileSystem in_place(disk);
  const char* const folder = test::MemoryFileSystem::kDirectory;
  static const bool saved = [&] {
    fuzz::small_sharded_index().save(folder);
    return true;
  }();
  (void)saved;
  const auto chars = fuzz::as_chars(data, size);
  std::vector<char> manifest(chars.begin(), chars.end());
  sign(manifest);
  disk.replace(std::string(folder) + "/manifest", manifest);
  try {
    const ShardedIndex index = ShardedIndex::load(folder, {fuzz::on_cpu(), {}});
    const std::vector<float> query(index.params().dimension);
    if (index.search({query.data(), 1, query.size()}).queries != 1) fuzz::fail("a lost query");
    if (!index.audit().ok) fuzz::fail("an unsound index");
  } catch (const Error& error) {  // io: a file that the manifest names is not there
    if (error.code() != ErrorCode::corrupt_file && error.code() != ErrorCode::io) {
      fuzz::fail(std::string("refused for another reason: ") + error.what());
    }
  }
  return 0;
}
