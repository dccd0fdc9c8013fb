// A library that is searched in C++, as bench/peers/native.py calls it: each *_peer.cpp defines
// make_peer() and is compiled together with the library's own headers to one shared library.
// Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

struct PeerForm {
  std::size_t rows;
  std::size_t dimension;
  bool is_l2;  ///< else rows and queries have length 1, and the nearest has the largest product
  std::size_t M;
  std::size_t ef_construction;
};

class Peer {
 public:
  virtual ~Peer() = default;
  /// Writes up to k labels of matches, nearest first; mask[row] is not 0 where it matches.
  virtual void search(const float* query, std::size_t k, std::size_t ef, const std::uint8_t* mask,
                      double share, std::int64_t* labels) = 0;
};
/// An index of all rows, whose labels are their numbers.
std::unique_ptr<Peer> make_peer(const float* rows, const PeerForm& form);

namespace peer {
inline std::string& last_error() {
  static std::string text;
  return text;
}
template <class Call>
bool succeeds(const Call& call) {
  try {
    call();
    return true;
  } catch (const std::exception& error) {
    last_error() = error.what();
    return false;
  }
}
}  // namespace peer

extern "C" {
const char* peer_error() { return peer::last_error().c_str(); }
Peer* peer_build(const float* rows, const PeerForm* form) {
  Peer* made = nullptr;
  peer::succeeds([&] { made = make_peer(rows, *form).release(); });
  return made;
}
void peer_free(Peer* index) { delete index; }
/// `labels` are [queries × k], -1 before the call. False where an error was thrown.
bool peer_search(Peer* index, const float* queries, std::size_t count, std::size_t dimension,
                 std::size_t k, std::size_t ef, const std::uint8_t* mask, double share,
                 std::int64_t* labels) {
  return peer::succeeds([&] {
    for (std::size_t q = 0; q < count; ++q) {
      index->search(queries + q * dimension, k, ef, mask, share, labels + q * k);
    }
  });
}
}
