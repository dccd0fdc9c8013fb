// The candidates of a beam search that may not return all ids (common/search/accept.hpp): a list of
// accepted ids and one of others, with the face of one CandidateList.
// Thread-safety: none; one per search.
#pragma once

#include <algorithm>

#include "cpu/candidate_list.hpp"

namespace concord::cpu {

template <class Accept>
class SplitCandidates {
 public:
  /// Borrows all its arguments.
  SplitCandidates(const Accept& accept, CandidateList& accepted, CandidateList& others) noexcept
      : accept_(accept), accepted_(accepted), others_(others) {}

  void reset(std::size_t capacity) {
    accepted_.reset(capacity);
    others_.reset(std::max<std::size_t>(1, accept_.others()));
  }
  std::size_t insert(core::Key key) noexcept {
    return (accept_(core::key_id(key)) ? accepted_ : others_).insert(key);
  }

  // Of the accepted ids:
  [[nodiscard]] std::size_t size() const noexcept { return accepted_.size(); }
  [[nodiscard]] core::Key key(std::size_t i) const noexcept { return accepted_.key(i); }
  [[nodiscard]] float worst_distance() const noexcept { return accepted_.worst_distance(); }

  // Of both lists:
  [[nodiscard]] bool is_done() noexcept {
    const core::Key before = accepted_.is_done() ? accepted_.bound() : accepted_.closest();
    next_ = !others_.is_done() && others_.closest() < before ? &others_ : &accepted_;
    return next_->is_done();
  }
  [[nodiscard]] core::Key closest() const noexcept { return next_->closest(); }
  core::NodeId expand_closest() noexcept { return next_->expand_closest(); }

 private:
  const Accept& accept_;
  CandidateList& accepted_;
  CandidateList& others_;
  CandidateList* next_ = nullptr;  ///< has the closest candidate, since is_done() was asked
};

}  // namespace concord::cpu
