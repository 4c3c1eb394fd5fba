#pragma once

// The list of kinds that a program prints.

#include <string>

namespace pushforward::apps {

/// Every registry with its kinds: a line for the name and help of each, and a line for each of its keys with help, rule
/// and default.
std::string kinds_text();

}  // namespace pushforward::apps
