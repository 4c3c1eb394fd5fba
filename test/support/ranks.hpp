#pragma once

// Helpers for tests that run on several ranks. The main of every test executable (main.cpp) keeps MPI initialized for
// all cases, so unit tests may use comm::Communicator::world() as well.
//
// Rules: a verdict that may differ between ranks is passed through on_all_ranks() before it is asserted; nothing
// between two collectives may fail on some ranks only. A case that throws ends the job; one that hangs meets the time
// limit.

#include <pushforward/comm/communicator.hpp>

#include "predicates.hpp"

#include <filesystem>

namespace pushforward::test {

/// Fixture: BOOST_FIXTURE_TEST_CASE(name, Ranks) has `comm`, all ranks of the test.
struct Ranks {
  comm::Communicator comm = comm::Communicator::world();
};

/// True where the verdict holds on all ranks; else false on all of them, with rank and message of the lowest on which
/// it fails. Collective.
Verdict on_all_ranks(const comm::Communicator& comm, Verdict verdict);

/// A directory of the running test case, the same on all ranks (of one node), empty at the first call in the case and
/// removed when the executable ends. Not collective.
std::filesystem::path scratch_directory();

}  // namespace pushforward::test
