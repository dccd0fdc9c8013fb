// The candidates of a beam search by a team: a list, the batch of keys to merge into it, and which
// entry is next; for searches that may not return all ids (common/search/accept.hpp), that twice.
//
// A hop is look() … expand() … offer() … sync … merge() … sync; a list that is continued repeats
// offer() to merge(). All threads of the team hold the same values in registers.
#pragma once

#include "common/search/accept.hpp"
#include "cuda/candidate_list.hpp"

namespace concord::cuda {

/// A candidate list and its batch in shared memory, cut up as the launch policy says.
struct ListStorage {
  CandidateList list;
  KeyBatch batch;

  CONCORD_TEAM_INLINE ListStorage(unsigned char* shared, const BeamLayout& layout)
      : list(reinterpret_cast<Key*>(shared), reinterpret_cast<Key*>(shared + layout.spare_list),
             layout.list_capacity),
        batch(reinterpret_cast<Key*>(shared + layout.batch_keys),
              reinterpret_cast<std::uint32_t*>(shared + layout.batch_positions),
              reinterpret_cast<BatchState*>(shared + layout.batch_states)) {}
};

class Candidates {
 public:
  CONCORD_TEAM_INLINE explicit Candidates(ListStorage& storage)
      : list_(storage.list), batch_(storage.batch) {}

  /// Empties list and batch. To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void clear(Team& team) {
    list_.clear();
    batch_.clear(team);
  }
  /// The search begins at `start`. REQUIRES an empty list and a cleared batch, as merge() leaves
  /// it. To be followed by a sync.
  template <class Team>
  CONCORD_TEAM_INLINE void assign(Team& team, Key start) {
    list_.assign(team, start);
  }
  /// Looks for the closest entries that are not expanded.
  template <class Team>
  CONCORD_TEAM_INLINE void look(Team& team) {
    frontier_ = list_.frontier(team, from_);
  }
  // After look():
  [[nodiscard]] CONCORD_TEAM_INLINE bool is_done() const {
    return frontier_.closest == list_.size();
  }
  /// REQUIRES !is_done(), as expand().
  [[nodiscard]] CONCORD_TEAM_INLINE Key closest() const { return list_.key(frontier_.closest); }
  /// Whether there is one to be expanded next if nothing closer is found, and its node.
  [[nodiscard]] CONCORD_TEAM_INLINE bool has_runner_up() const {
    return frontier_.second < list_.size();
  }
  [[nodiscard]] CONCORD_TEAM_INLINE NodeId runner_up() const {
    return core::key_id(list_.key(frontier_.second));
  }
  /// The next merge() marks the closest entry.
  CONCORD_TEAM_INLINE void expand() {
    expanded_ = frontier_.closest;
    from_ = frontier_.closest + 1;
  }
  /// Whether a key may enter the list.
  [[nodiscard]] CONCORD_TEAM_INLINE bool admits(Key key) const { return key < list_.worst(); }
  /// True for a key that enters the list with the next merge() and was not there. One thread a key.
  /// REQUIRES admits(key).
  template <class Team>
  CONCORD_TEAM_INLINE bool offer(Team& team, Key key) {
    bool is_new = false;
    list_.offer(team, batch_, key, is_new);
    return is_new;
  }
  /// After a sync; to be followed by one.
  template <class Team>
  CONCORD_TEAM_INLINE void merge(Team& team) {
    list_.merge(team, batch_, expanded_);
    expanded_ = kNone;
    if (batch_.lowest() < from_) from_ = batch_.lowest();
    batch_.next(team);
  }

 private:
  static constexpr std::uint32_t kNone = ~0u;

  CandidateList& list_;
  KeyBatch& batch_;
  Frontier frontier_{};
  std::uint32_t from_ = 0;          ///< all entries before it are expanded
  std::uint32_t expanded_ = kNone;  ///< entry that merge() marks
};

/// Candidates of a search that may not return all ids: those of accepted ids, and those of others.
template <class Accept>
class SplitCandidates {
 public:
  CONCORD_TEAM_INLINE SplitCandidates(const Accept& accept, ListStorage& accepted,
                                      ListStorage& others)
      : accept_(accept), accepted_(accepted), others_(others) {}

  template <class Team>
  CONCORD_TEAM_INLINE void assign(Team& team, Key start) {
    others_.clear(team);
    if (is_accepted(start)) {
      accepted_.assign(team, start);
    } else {
      others_.assign(team, start);
    }
  }
  template <class Team>
  CONCORD_TEAM_INLINE void look(Team& team) {
    accepted_.look(team);
    others_.look(team);
    others_are_next_ =
        !others_.is_done() && (accepted_.is_done() ? accepted_.admits(others_.closest())
                                                   : others_.closest() < accepted_.closest());
  }
  [[nodiscard]] CONCORD_TEAM_INLINE bool is_done() const {
    return !others_are_next_ && accepted_.is_done();
  }
  [[nodiscard]] CONCORD_TEAM_INLINE Key closest() const {
    return others_are_next_ ? others_.closest() : accepted_.closest();
  }
  [[nodiscard]] CONCORD_TEAM_INLINE bool has_runner_up() const {
    return others_are_next_ ? others_.has_runner_up() : accepted_.has_runner_up();
  }
  [[nodiscard]] CONCORD_TEAM_INLINE NodeId runner_up() const {
    return others_are_next_ ? others_.runner_up() : accepted_.runner_up();
  }
  CONCORD_TEAM_INLINE void expand() {
    if (others_are_next_) {
      others_.expand();
    } else {
      accepted_.expand();
    }
  }
  [[nodiscard]] CONCORD_TEAM_INLINE bool admits(Key key) const {
    return is_accepted(key) ? accepted_.admits(key) : others_.admits(key);
  }
  template <class Team>
  CONCORD_TEAM_INLINE bool offer(Team& team, Key key) {
    return is_accepted(key) ? accepted_.offer(team, key) : others_.offer(team, key);
  }
  template <class Team>
  CONCORD_TEAM_INLINE void merge(Team& team) {
    accepted_.merge(team);
    others_.merge(team);
  }

 private:
  [[nodiscard]] CONCORD_TEAM_INLINE bool is_accepted(Key key) const {
    return accept_(core::key_id(key));
  }

  const Accept& accept_;
  Candidates accepted_;
  Candidates others_;
  bool others_are_next_ = false;
};

}  // namespace concord::cuda
