// A concord::Index that no Python program can use wrongly: arguments are checked, members take
// turns, long work releases the GIL and heeds Ctrl-C.
//
// Thread-safety: all members, called with the GIL held.
#pragma once

#include <nanobind/nanobind.h>

#include <concord/index.hpp>
#include <filesystem>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "array.hpp"
#include "index_lock.hpp"
#include "watch.hpp"

namespace concord::python {

class PythonIndex {
 public:
  PythonIndex(const IndexParams& params, unsigned threads, const std::string& device);
  /// Reads and writes files: Concord's own, or those of another library.
  using Loader = std::function<Index(const std::filesystem::path&, RuntimeOptions)>;
  using Saver = std::function<void(const Index&, const std::filesystem::path&)>;
  static PythonIndex* load(nanobind::bytes path, unsigned threads, const std::string& device,
                           const Loader& loader);

  /// `labels`: None or a one-dimensional array of uint64.
  std::size_t add(nanobind::handle vectors, nanobind::handle labels, nanobind::object progress);
  nanobind::object search(nanobind::handle queries, nanobind::handle k, nanobind::handle ef,
                          nanobind::handle slack, nanobind::handle out) const;
  nanobind::object exact_search(nanobind::handle queries, nanobind::handle k,
                                nanobind::handle out) const;
  void save(nanobind::bytes path, const Saver& saver) const;
  void compact();

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool contains(std::uint64_t label) const;
  [[nodiscard]] nanobind::object vector(std::uint64_t label) const;
  [[nodiscard]] nanobind::object labels() const;
  [[nodiscard]] std::string digest() const;
  [[nodiscard]] nanobind::dict audit() const;
  [[nodiscard]] nanobind::dict stats() const;
  [[nodiscard]] nanobind::dict memory() const;

  [[nodiscard]] const IndexParams& params() const { return index_.params(); }  // never change
  [[nodiscard]] unsigned threads() const { return threads_; }
  [[nodiscard]] const std::string& device() const { return device_; }
  void set_runtime(unsigned threads, const std::string& device);

 private:
  using Reading = std::shared_lock<IndexLock>;
  using Writing = std::unique_lock<IndexLock>;

  PythonIndex(Index index, unsigned threads, std::string device)
      : index_(std::move(index)), threads_(threads), device_(std::move(device)) {}

  std::size_t add_from_host(const Array& vectors, std::span<const std::uint64_t> labels,
                            Watch& watch);
  template <class Piece, class Run>
  void in_pieces(const Array& queries, const Piece& piece, const Run& run) const;
  [[nodiscard]] std::size_t workers() const;
  [[nodiscard]] std::size_t queries_per_piece(std::uint32_t ef) const;
  template <class Work>
  auto read(const Work& work) const;
  /// Does `use`, without the GIL, unless it was done before: the first use of each part of a mapped
  /// file checks it, which takes long, and members that keep the GIL must not be the first.
  template <class Use>
  void use_first(bool& was_used, const Use& use) const;

  mutable IndexLock lock_;  ///< shared by all calls but those that need the index to themselves
  IndexLock adding_;        ///< additions take turns; taken before lock_
  Index index_;
  // Guarded by the GIL.
  mutable bool used_links_ = false, used_vectors_ = false, used_labels_ = false;
  unsigned threads_;
  std::string device_;
};

}  // namespace concord::python
