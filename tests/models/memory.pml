// The memory that the models share: that of C++20 without load buffering. It is kept as messages and
// views (Kang et al., "A promising semantics", POPL 2017, without promises; RC11).
//
// A store adds a message to its location's history, in the order of modification. A thread has a
// view: of each location the oldest message that it may still read. A load takes any message from
// there on, and moves the view. A release store puts the thread's view into the message; an acquire
// load adds it to its own. So a value that is old, or of another order than the writer's, is read
// wherever C++ allows it, which no x86 processor shows.
//
// A location whose accesses are all sequentially consistent is read at its newest message: in the
// order S of C++20 a load comes after every store before it. Where the writer mixes release stores
// with such ones, a load reads no message older than the last of these (`floor`).
//
// Plain data have one message for each write. A read of data whose newest write the thread's view
// lacks is a data race, and so is a write beside a read that the writer's view lacks.

typedef View { byte at[LOCATIONS] };
typedef Message { byte value; View view };
typedef Location { byte size; byte floor; Message messages[MESSAGES] };

Location memory[LOCATIONS];
View views[THREADS];
// Used within one step, so all threads share them.
byte l_;
byte m_;

inline join(to, from) {
  l_ = 0;
  do
  :: l_ < LOCATIONS ->
     if
     :: from.at[l_] > to.at[l_] -> to.at[l_] = from.at[l_]
     :: else
     fi;
     l_++
  :: else -> break
  od
}

inline append(self, x, number) {
  assert(memory[x].size < MESSAGES);
  m_ = memory[x].size;
  memory[x].messages[m_].value = number;
  views[self].at[x] = m_;
  memory[x].size++
}

inline store_relaxed(self, x, number) {
  d_step {
    append(self, x, number);
    memory[x].messages[m_].view.at[x] = m_
  }
}
inline store_release(self, x, number) {
  d_step {
    append(self, x, number);
    join(memory[x].messages[m_].view, views[self])
  }
}
inline store_sequential(self, x, number) {
  d_step {
    append(self, x, number);
    join(memory[x].messages[m_].view, views[self]);
    memory[x].floor = m_
  }
}

// Any message from `message_`, which each process has, on.
inline choose(self, x) {
  do
  :: message_ + 1 < memory[x].size -> message_++
  :: break
  od;
  views[self].at[x] = message_
}
inline load_relaxed(self, x, into) {
  atomic {
    message_ = views[self].at[x];
    choose(self, x);
    into = memory[x].messages[message_].value;
    message_ = 0
  }
}
inline load_acquire(self, x, into) {
  atomic {
    message_ = views[self].at[x];
    choose(self, x);
    into = memory[x].messages[message_].value;
    join(views[self], memory[x].messages[message_].view);
    message_ = 0
  }
}
inline load_sequential(self, x, into) {
  atomic {
    message_ = views[self].at[x];
    if
    :: memory[x].floor > message_ -> message_ = memory[x].floor
    :: else
    fi;
    choose(self, x);
    into = memory[x].messages[message_].value;
    join(views[self], memory[x].messages[message_].view);
    message_ = 0
  }
}

// Locations that change by operations which read and write are read at their newest message, so no
// other one is kept. Such an operation hands the view of the message on: a release sequence.
#define newest(x) memory[x].messages[0].value

inline change_relaxed(self, x, number) { newest(x) = number }
inline change_release(self, x, number) {
  newest(x) = number;
  join(memory[x].messages[0].view, views[self])
}
inline change_sequential(self, x, number) {
  newest(x) = number;
  join(views[self], memory[x].messages[0].view);
  join(memory[x].messages[0].view, views[self])
}
inline load_newest_relaxed(self, x, into) { into = newest(x) }
inline load_newest_sequential(self, x, into) {
  d_step {
    into = newest(x);
    join(views[self], memory[x].messages[0].view)
  }
}

inline write_data(self, x, number) {
  store_relaxed(self, x, number)
}
inline read_data(self, x, into) {
  d_step {
    assert(views[self].at[x] == memory[x].size - 1);  // otherwise a race
    into = memory[x].messages[views[self].at[x]].value
  }
}
