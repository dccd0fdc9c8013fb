// An index file taken to pieces, and the ways in which it is forged: each changes the content as
// one who knows the format would, and assemble() makes lengths, checksums and the digest right
// again.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/support/index_file.hpp"

namespace concord::test {

class Pieces {
 public:
  /// Takes a sound file to pieces.
  explicit Pieces(const std::vector<char>& bytes);
  /// The file again, with every length, offset and checksum right, and the digest wherever the
  /// content can be walked.
  [[nodiscard]] std::vector<char> assemble() const;

  Header header;
  std::vector<char> sections[kSections];

  /// 2·M or M.
  [[nodiscard]] std::uint32_t max_degree(core::file::Section lists) const;
  [[nodiscard]] std::size_t lists(core::file::Section lists) const;
  /// Word `w` of a list: 0 degree and anchors, 1 overflow, 2 sealed copy, 3 epoch, from 4 on ids.
  [[nodiscard]] std::uint32_t word(core::file::Section lists, std::size_t list,
                                   std::size_t w) const;
  void set_word(core::file::Section lists, std::size_t list, std::size_t w, std::uint32_t value);
  [[nodiscard]] std::uint32_t degree(core::file::Section lists, std::size_t list) const {
    return word(lists, list, 0) & 0xFFFF;
  }
  /// Those of its ids that are in place.
  [[nodiscard]] std::vector<std::uint32_t> ids(core::file::Section lists, std::size_t list) const;
  /// Makes these the ids of a list of layer 0, with the degree and the anchors that they give.
  void set_ids(std::size_t node, const std::vector<std::uint32_t>& ids);
};

using Draws = std::mt19937_64;
inline std::size_t draw(Draws& draws, std::size_t below) { return draws() % below; }

struct Forgery {
  std::string name;
  /// The loader must refuse the file. Otherwise it may be another sound index.
  bool must_be_refused;
  /// False, with nothing changed, if it cannot be applied to this file.
  bool (*apply)(Pieces&, Draws&);
};

std::span<const Forgery> forgeries();

}  // namespace concord::test
