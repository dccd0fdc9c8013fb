#include "common/journal/replay.hpp"

#include <algorithm>
#include <array>
#include <concord/error.hpp>
#include <string>

#include "common/journal/naming.hpp"
#include "common/journal/record_reader.hpp"

namespace concord::core {
namespace {

using namespace file;

template <class T>
T read_whole(const File& file, std::uint64_t offset) {
  T value;
  if (file.read(offset, &value, sizeof value) < sizeof value) refuse_journal("it is too short");
  return value;
}

// The present version's form of it. The checksum stays, since it is the seed of the records'.
JournalHeader present_form(const JournalHeaderV1& old) {
  return {old.magic,       old.version, old.dimension,
          old.metric,      old.M,       old.ef_construction,
          old.epoch_limit, old.seed,    {.inserts = old.base},
          old.base_digest, old.checksum};
}

JournalBegin read_version_1(const File& file) {
  const auto header = read_whole<JournalHeaderV1>(file, 0);
  if (header.checksum != checksum_of(header) || header.zero != 0)
    refuse_journal("its header is damaged");
  return {present_form(header), {sizeof header, header.checksum, 0, 0}};
}

JournalBegin read_present_version(const File& file) {
  const auto header = read_whole<JournalHeader>(file, 0);
  const auto closed = read_whole<ClosedAt>(file, sizeof header);
  if (header.checksum != checksum_of(header) ||
      closed.checksum != checksum_of(closed, header.checksum) || closed.zero != 0 ||
      closed.length < kRecordsBegin)
    refuse_journal("its header is damaged");
  return {header, closed};
}

JournalBegin read_begin(const File& file) {
  const auto magic = read_whole<std::array<char, 8>>(file, 0);
  if (magic != kJournalMagic) refuse_journal("it does not begin with the magic bytes");
  const auto version = read_whole<std::uint32_t>(file, sizeof magic);
  if (version != 1 && version != kJournalVersion) {
    refuse_journal("its version is " + std::to_string(version) +
                   ", this library reads versions 1 and " + std::to_string(kJournalVersion));
  }
  const JournalBegin begin = version == 1 ? read_version_1(file) : read_present_version(file);
  const OperationCounts& base = begin.header.base;
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;  // of which sums do not overflow
  if (std::max({base.inserts, base.removes, base.updates, base.flushes}) > kMost ||
      base.size() > kMaxNodes)
    refuse_journal("its header is damaged");
  try {
    params_of(begin.header).validate();
  } catch (const Error& error) {
    refuse_journal(error.what());
  }
  return begin;
}

}  // namespace

std::filesystem::path journal_path(const std::filesystem::path& index_path) {
  return index_path.string() + ".journal";
}

bool is_file_of(const std::filesystem::path& index_path, const std::filesystem::path& path) {
  const std::filesystem::path name = resolved(path).lexically_normal();
  const FileIdentity found = identity_of(path);
  const auto is = [&](const std::filesystem::path& own) {
    return name == own.lexically_normal() || found.is_same_file(identity_of(own));
  };
  return is(index_path) || is(journal_path(index_path));
}

JournalBegin read_journal_begin(const File& file, const std::filesystem::path& path) {
  return naming(path, [&] { return read_begin(file); });
}

bool begins_with_flush(const File& file, const std::filesystem::path& path,
                       const JournalBegin& begin, std::uint64_t boot) {
  return naming(path, [&] {
    RecordReader reader(file, begin, boot);
    const Record* record = reader.next();
    while (record != nullptr && record->kind == RecordKind::mark) record = reader.next();
    return record == nullptr || record->kind == RecordKind::flush;
  });
}

Replay replay_journal(const File& file, const std::filesystem::path& path,
                      const JournalBegin& begin, std::uint64_t boot, const ReplayTarget& target) {
  return naming(path, [&] {
    const std::uint64_t before = target.contents.graph.insertions();
    Replay replay;
    replay.marked = true;
    RecordReader reader(file, begin, boot);
    Applier applier(target);
    while (const Record* record = reader.next()) {
      applier.apply(*record);
      replay.marked = record->kind == RecordKind::mark;
    }
    replay.counts = reader.counts();
    replay.chain = reader.chain();
    replay.recovered = target.contents.graph.insertions() - before;
    replay.length = reader.offset();
    replay.tail = reader.tail();
    return replay;
  });
}

}  // namespace concord::core
