// concord::Replica through the C interface.

#include <concord/c/replica.h>

#include <concord/replica.hpp>

#include "common/capi/guard.hpp"
#include "common/capi/handles.hpp"
#include "common/capi/options.hpp"

using namespace concord;
using namespace concord::capi;

struct concord_replica {
  Replica replica;
};

concord_status concord_replica_open(const char* path, const concord_runtime_options* options,
                                    concord_replica** replica) {
  return guarded([&] {
    expect(replica, "replica");
    give(replica, Replica::open(&expect(path, "path"), runtime_of(options)));
  });
}

void concord_replica_free(concord_replica* replica) { delete replica; }

concord_status concord_replica_catch_up(concord_replica* replica, uint64_t* operations) {
  return guarded([&] {
    const std::uint64_t done = expect(replica, "replica").replica.catch_up();
    if (operations != nullptr) *operations = done;
  });
}

concord_status concord_replica_index(const concord_replica* replica, concord_index** index) {
  return guarded([&] {
    const Replica& of = expect(replica, "replica").replica;
    expect(index, "index");
    give(index, of.index());
  });
}

concord_status concord_replica_lag(const concord_replica* replica, uint64_t* operations,
                                   uint64_t* bytes) {
  return guarded([&] {
    const ReplicaLag lag = expect(replica, "replica").replica.lag();
    if (operations != nullptr) *operations = lag.operations;
    if (bytes != nullptr) *bytes = lag.bytes;
  });
}

concord_status concord_replica_promote(concord_replica* replica, int32_t durability,
                                       concord_index** index) {
  return guarded([&] {
    Replica& of = expect(replica, "replica").replica;
    expect(index, "index");
    give(index, of.promote(durability_of(durability)));
  });
}
