#include "tests/hostile/forger.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

namespace concord::test {

using namespace core::file;

namespace {

constexpr std::uint32_t kNone = 0xFFFFFFFF;

std::size_t align(std::size_t offset, std::size_t unit) {
  return (offset + unit - 1) / unit * unit;
}

}  // namespace

Pieces::Pieces(const std::vector<char>& bytes) : header(read_at<Header>(bytes, 0)) {
  for (std::size_t s = 0; s < kSections; ++s) {
    const SectionRecord record = section(bytes, s);
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(record.offset);
    sections[s].assign(first, first + static_cast<std::ptrdiff_t>(record.length));
  }
}

std::vector<char> Pieces::assemble() const {
  std::vector<char> bytes(kTableEnd);
  for (std::size_t s = 0; s < kSections; ++s) {
    bytes.resize(align(bytes.size(), kSectionAlignment));
    set_section(bytes, s,
                {static_cast<std::uint32_t>(s + 1), 0, bytes.size(), sections[s].size(), 0});
    bytes.insert(bytes.end(), sections[s].begin(), sections[s].end());
  }
  bytes.resize(align(bytes.size(), kFooterAlignment));
  Header with_footer = header;
  with_footer.footer_offset = bytes.size();
  write_at(bytes, 0, with_footer);
  bytes.resize(bytes.size() + sizeof(Footer));
  write_at(bytes, with_footer.footer_offset, Footer{kMagic, bytes.size(), {}});
  sign_digest(bytes);
  sign(bytes);
  return bytes;
}

std::uint32_t Pieces::max_degree(Section lists) const {
  return lists == kBaseLists ? 2 * header.M : header.M;
}
std::size_t Pieces::lists(Section lists) const {
  return sections[lists].size() / (16 + 4 * std::size_t{max_degree(lists)});
}
std::uint32_t Pieces::word(Section lists, std::size_t list, std::size_t w) const {
  return read_at<std::uint32_t>(sections[lists], 4 * (list * (4 + max_degree(lists)) + w));
}
void Pieces::set_word(Section lists, std::size_t list, std::size_t w, std::uint32_t value) {
  write_at(sections[lists], 4 * (list * (4 + max_degree(lists)) + w), value);
}
std::vector<std::uint32_t> Pieces::ids(Section lists, std::size_t list) const {
  std::vector<std::uint32_t> result(std::min(degree(lists, list), max_degree(lists)));
  for (std::size_t j = 0; j < result.size(); ++j) result[j] = word(lists, list, 4 + j);
  return result;
}
void Pieces::set_ids(std::size_t node, const std::vector<std::uint32_t>& ids) {
  const auto anchors = std::count_if(ids.begin(), ids.end(), [&](auto id) { return id < node; });
  set_word(kBaseLists, node, 0,
           static_cast<std::uint32_t>(ids.size()) | static_cast<std::uint32_t>(anchors) << 16);
  for (std::size_t j = 0; j < max_degree(kBaseLists); ++j) {
    set_word(kBaseLists, node, 4 + j, j < ids.size() ? ids[j] : 0);
  }
}

// -------------------------------------------------------------------------------------- forgeries

namespace {

template <class T>
T one_of(Draws& draws, std::initializer_list<T> values) {
  return values.begin()[draw(draws, values.size())];
}

/// A list somewhere with at least so many ids in place.
struct Place {
  Section lists;
  std::size_t list;
};
std::optional<Place> some_list(const Pieces& f, Draws& draws, std::uint32_t least) {
  for (int attempt = 0; attempt < 50; ++attempt) {
    const bool upper = f.lists(kUpperLists) > 0 && draw(draws, 3) == 0;
    const Section lists = upper ? kUpperLists : kBaseLists;
    const std::size_t list = draw(draws, f.lists(lists));
    if (f.ids(lists, list).size() >= least) return Place{lists, list};
  }
  return std::nullopt;
}

bool change_id(Pieces& f, Draws& draws, std::uint32_t to) {
  const auto place = some_list(f, draws, 1);
  if (!place) return false;
  const auto ids = f.ids(place->lists, place->list);
  const std::size_t j = draw(draws, ids.size());
  if (std::ranges::count(ids, to) > 0) return false;
  f.set_word(place->lists, place->list, 4 + j, to);
  return true;
}

bool drop_last_id(Pieces& f, Draws& draws) {
  const auto place = some_list(f, draws, 1);
  if (!place || f.degree(place->lists, place->list) > f.max_degree(place->lists)) return false;
  const std::uint32_t word = f.word(place->lists, place->list, 0);
  f.set_word(place->lists, place->list, 0, word - 1);
  f.set_word(place->lists, place->list, 3 + (word & 0xFFFF), 0);
  return true;
}

bool change_anchors(Pieces& f, Draws& draws) {
  const auto place = some_list(f, draws, 1);
  if (!place) return false;
  const std::uint32_t more = one_of(draws, {1u, 0xFFFFu, 5u, 0xFFF0u});
  f.set_word(place->lists, place->list, 0, f.word(place->lists, place->list, 0) + (more << 16));
  return true;
}

bool link_to_itself(Pieces& f, Draws& draws) {
  const std::size_t node = draw(draws, f.header.n);
  if (f.degree(kBaseLists, node) == 0) return false;
  f.set_word(kBaseLists, node, 4, static_cast<std::uint32_t>(node));
  return true;
}

bool link_twice(Pieces& f, Draws& draws) {
  const auto place = some_list(f, draws, 2);
  if (!place) return false;
  f.set_word(place->lists, place->list, 4, f.word(place->lists, place->list, 5));
  return true;
}

bool change_degree(Pieces& f, Draws& draws) {
  const auto place = some_list(f, draws, 0);
  const std::uint32_t max = f.max_degree(place->lists);
  const std::uint32_t degree = one_of(draws, {0xFFFFu, max + 1, 2 * max + 1, 0x8000u, 200u});
  const std::uint32_t word = f.word(place->lists, place->list, 0);
  if ((word & 0xFFFF) == degree) return false;
  f.set_word(place->lists, place->list, 0, (word & 0xFFFF0000) | degree);
  return true;
}

/// A node that no other links to and that links to none.
bool cut_off(Pieces& f, Draws&) {
  const std::uint32_t node = f.header.n - 1;
  const auto neighbors = f.ids(kBaseLists, node);
  if (f.degree(kBaseLists, node) != neighbors.size() || neighbors.empty()) return false;
  const auto is_long = [&](std::uint32_t id) {
    return f.degree(kBaseLists, id) > f.max_degree(kBaseLists);
  };
  if (std::ranges::any_of(neighbors, is_long)) return false;
  for (const std::uint32_t id : neighbors) {
    auto ids = f.ids(kBaseLists, id);
    std::erase(ids, node);
    f.set_ids(id, ids);
  }
  f.set_ids(node, {});
  return true;
}

/// Edges a–b and c–d become a–d and c–b: degrees and symmetry hold, anchors may not.
bool rewire(Pieces& f, Draws& draws) {
  const auto neighbor = [&](std::uint32_t node) {
    const auto ids = f.ids(kBaseLists, node);
    const bool is_short = ids.size() == f.degree(kBaseLists, node) && !ids.empty();
    return is_short ? ids[draw(draws, ids.size())] : kNone;
  };
  for (int attempt = 0; attempt < 50; ++attempt) {
    const auto a = static_cast<std::uint32_t>(draw(draws, f.header.n));
    const auto c = static_cast<std::uint32_t>(draw(draws, f.header.n));
    const std::uint32_t b = neighbor(a);
    const std::uint32_t d = neighbor(c);
    if (b == kNone || d == kNone || a == c || b == d || a == d || b == c) continue;
    if (neighbor(b) == kNone || neighbor(d) == kNone) continue;
    const auto has = [&](std::uint32_t node, std::uint32_t id) {
      return std::ranges::count(f.ids(kBaseLists, node), id) > 0;
    };
    if (has(a, d) || has(c, b)) continue;
    const auto exchange = [&](std::uint32_t node, std::uint32_t old, std::uint32_t other) {
      auto ids = f.ids(kBaseLists, node);
      std::ranges::replace(ids, old, other);
      f.set_ids(node, ids);
    };
    exchange(a, b, d);
    exchange(d, c, a);
    exchange(c, d, b);
    exchange(b, a, c);
    return true;
  }
  return false;
}

bool reorder(Pieces& f, Draws& draws) {
  const auto place = some_list(f, draws, 2);
  if (!place) return false;
  auto ids = f.ids(place->lists, place->list);
  std::shuffle(ids.begin(), ids.end(), draws);
  for (std::size_t j = 0; j < ids.size(); ++j) f.set_word(place->lists, place->list, 4 + j, ids[j]);
  return true;
}

bool use_unused_word(Pieces& f, Draws& draws) {
  const auto place = some_list(f, draws, 0);
  const std::uint32_t degree = f.degree(place->lists, place->list);
  if (degree >= f.max_degree(place->lists)) return false;
  const std::size_t j = degree + draw(draws, f.max_degree(place->lists) - degree);
  f.set_word(place->lists, place->list, 4 + j, one_of(draws, {1u, kNone}));
  return true;
}

bool change_block_number(Pieces& f, Draws& draws) {
  const auto place = some_list(f, draws, 0);
  const std::uint32_t number =
      one_of(draws, {0u, 1u, 2u, kNone, static_cast<std::uint32_t>(draw(draws, 12))});
  f.set_word(place->lists, place->list, 1 + draw(draws, 2), number);
  return true;
}

bool change_epochs(Pieces& f, Draws& draws) {
  for (std::size_t times = one_of(draws, {1u, 3u, f.header.n}); times > 0; --times) {
    const auto place = some_list(f, draws, 0);
    const auto any = static_cast<std::uint32_t>(draw(draws, 40));
    f.set_word(place->lists, place->list, 3, one_of(draws, {0u, 1u, any, any, 0x7FFFFFFFu}));
  }
  return true;
}

bool swap_copies(Pieces& f, Draws& draws) {
  std::vector<std::size_t> copied;
  for (std::size_t list = 0; list < f.lists(kBaseLists); ++list) {
    if (f.word(kBaseLists, list, 2) != 0) copied.push_back(list);
  }
  if (copied.size() < 2) return false;
  std::shuffle(copied.begin(), copied.end(), draws);
  const std::uint32_t first = f.word(kBaseLists, copied[0], 2);
  f.set_word(kBaseLists, copied[0], 2, f.word(kBaseLists, copied[1], 2));
  f.set_word(kBaseLists, copied[1], 2, first);
  return true;
}

bool change_block_content(Pieces& f, Draws& draws) {
  const Section s = one_of(draws, {kBaseOverflow, kBaseCopies, kUpperOverflow, kUpperCopies});
  if (f.sections[s].empty()) return false;
  const std::uint32_t n = f.header.n;
  const auto any = static_cast<std::uint32_t>(draw(draws, n));
  write_at(f.sections[s], 4 * draw(draws, f.sections[s].size() / 4),
           one_of(draws, {0u, 1u, n - 1, n, kNone, any, 2 * f.header.M, 2 * f.header.M + 1}));
  return true;
}

bool append_blocks(Pieces& f, Draws& draws) {
  const Section s = one_of(draws, {kBaseOverflow, kBaseCopies, kUpperOverflow, kUpperCopies});
  const std::size_t ids = s < kUpperLists ? 2 * f.header.M : f.header.M;
  const bool copies = s == kBaseCopies || s == kUpperCopies;
  const std::size_t block = 4 * (ids + (copies ? 1 : 0));
  f.sections[s].resize(f.sections[s].size() + block * one_of(draws, {1u, 2u, 100u}));
  return true;
}

bool change_level(Pieces& f, Draws& draws) {
  char& level = f.sections[kLevels][draw(draws, f.header.n)];
  const auto other = static_cast<char>(one_of(draws, {0, 1, 2, 30, 31, 255}));
  return std::exchange(level, other) != other;
}

bool change_entry(Pieces& f, Draws& draws) {
  const std::uint32_t n = f.header.n;
  EntryRecord& entry = f.header.entry;
  std::uint32_t& field = draw(draws, 2) == 0 ? entry.node : entry.level;
  const std::uint32_t other = one_of(draws, {0u, 1u, 2u, n - 1, n, 31u, kNone});
  return std::exchange(field, other) != other;
}

bool change_sealed_entries(Pieces& f, Draws& draws) {
  const std::uint32_t n = f.header.n;
  for (EntryRecord& entry : f.header.sealed_entries) {
    for (std::uint32_t* const field : {&entry.node, &entry.level}) {
      if (draw(draws, 2) == 0) *field = one_of(draws, {0u, 1u, 2u, n - 1, n, kNone});
    }
  }
  return true;
}

bool set_label(Pieces& f, Draws& draws, std::size_t node, std::uint64_t label) {
  (void)draws;
  write_at(f.sections[kLabels], 8 * node, label);
  return true;
}

bool repeat_label(Pieces& f, Draws& draws) {
  const std::size_t node = draw(draws, f.header.n);
  const std::size_t other = (node + 1 + draw(draws, f.header.n - 1)) % f.header.n;
  return set_label(f, draws, node, read_at<std::uint64_t>(f.sections[kLabels], 8 * other));
}

bool change_labels(Pieces& f, Draws& draws) {
  const unsigned shift = one_of(draws, {0u, 32u, 40u, 52u});  // 0: any; else such as may collide
  for (std::size_t i = 0; i < f.header.n; ++i) {
    set_label(f, draws, i, shift == 0 ? draws() : std::uint64_t{i} << shift);
  }
  return true;
}

std::size_t stride_bytes(const Pieces& f) {
  return (f.header.dimension + 7) / 8 * 8 * (f.header.element == 2 ? 4 : 1);
}

bool change_element(Pieces& f, Draws& draws) {
  std::vector<char>& vectors = f.sections[kVectors];
  if (f.header.element != 2) {
    vectors[draw(draws, vectors.size())] = static_cast<char>(draws());
  } else {
    write_at(vectors, 4 * draw(draws, vectors.size() / 4),
             one_of(draws, {0x7F800000u, 0x7FC00000u, 0x7F7FFFFFu, 0x80000000u, 1u, 0x3F800000u}));
  }
  return true;
}

bool make_not_finite(Pieces& f, Draws& draws) {
  if (f.header.element != 2) return false;
  const std::size_t at =
      draw(draws, f.header.n) * stride_bytes(f) + 4 * draw(draws, f.header.dimension);
  write_at(f.sections[kVectors], at,
           one_of(draws, {0x7F800000u, 0x7FC00000u, 0xFF800000u, 0x7F7FFFFFu}));
  return true;
}

bool pad_with_one(Pieces& f, Draws& draws) {
  if (f.header.dimension % 8 == 0) return false;
  f.sections[kVectors][(draw(draws, f.header.n) + 1) * stride_bytes(f) - 1] = 1;
  return true;
}

bool widen_vectors(Pieces& f, Draws&) {
  if (f.header.element == 2) return false;
  std::vector<char> wide;
  for (const char byte : f.sections[kVectors]) {
    const auto number = f.header.element == 0 ? static_cast<float>(static_cast<std::uint8_t>(byte))
                                              : static_cast<float>(byte);
    wide.resize(wide.size() + 4);
    write_at(wide, wide.size() - 4, number);
  }
  f.sections[kVectors] = std::move(wide);
  f.header.element = 2;
  return true;
}

bool change_size(Pieces& f, Draws& draws) {
  const std::uint32_t n = f.header.n;
  const std::uint32_t other =
      one_of(draws, {0u, 1u, n - 1, n + 1, 1000 * n, 0x7FFFFFFFu, 0xFFFFFFFEu, kNone});
  return std::exchange(f.header.n, other) != other;
}

bool change_dimension_within_stride(Pieces& f, Draws& draws) {
  const std::uint32_t stride = (f.header.dimension + 7) / 8 * 8;
  const auto other = static_cast<std::uint32_t>(stride - draw(draws, 8));
  return std::exchange(f.header.dimension, other) != other;
}

bool change_parameter(Pieces& f, Draws& draws) {
  Header& h = f.header;
  std::uint32_t* const fields[] = {
      &h.metric,  &h.M,           &h.ef_construction, &h.epoch_limit,
      &h.element, &h.seal_is_due, &h.version,         &h.section_count};
  const std::uint32_t other =
      one_of(draws, {0u, 1u, 2u, 3u, 4u, 7u, 63u, 64u, 65u, 1000u, 1024u, 65536u, 65537u, kNone});
  return std::exchange(*fields[draw(draws, std::size(fields))], other) != other;
}

bool change_seed(Pieces& f, Draws& draws) {
  f.header.seed = draws();
  return true;
}

bool use_unused_header(Pieces& f, Draws& draws) {
  f.header.removals = 1 + draw(draws, 100);  // a field of version 3
  return true;
}

const Forgery kForgeries[] = {
    {"id of another node", true,
     [](Pieces& f, Draws& d) {
       return change_id(f, d, static_cast<std::uint32_t>(draw(d, f.header.n)));
     }},
    {"id of no node", true,
     [](Pieces& f, Draws& d) {
       return change_id(f, d, one_of(d, {f.header.n, f.header.n + 1, 1u << 31, kNone}));
     }},
    {"one side of an edge dropped", true, drop_last_id},
    {"other number of anchors", true, change_anchors},
    {"link to itself", true, link_to_itself},
    {"link twice", true, link_twice},
    {"other degree", true, change_degree},
    {"node cut off", true, cut_off},
    {"edges exchanged", false, rewire},
    {"ids in another order", false, reorder},
    {"unused word of a list", true, use_unused_word},
    {"number of a block", false, change_block_number},
    {"epochs of lists", false, change_epochs},
    {"copies exchanged", true, swap_copies},
    {"content of a block", false, change_block_content},
    {"blocks appended", true, append_blocks},
    {"level", true, change_level},
    {"entry point", true, change_entry},
    {"sealed entry points", false, change_sealed_entries},
    {"label twice", true, repeat_label},
    {"labels", false, change_labels},
    {"element of a vector", false, change_element},
    {"not finite", true, make_not_finite},
    {"padding of a vector", true, pad_with_one},
    {"wider vectors", true, widen_vectors},
    {"number of vectors", true, change_size},
    {"dimension of the same stride", false, change_dimension_within_stride},
    {"parameter", false, change_parameter},
    {"seed", false, change_seed},
    {"unused byte of the header", true, use_unused_header},
};

}  // namespace

std::span<const Forgery> forgeries() { return kForgeries; }

}  // namespace concord::test
