#pragma once

#include <filesystem>

namespace pushforward::test {

/// The directory of this run of the test executable, the same on all ranks; made and removed by main.
const std::filesystem::path& session_directory();

}  // namespace pushforward::test
