#pragma once

// The lists of kinds that programs print.

#include <string>

namespace pushforward::apps {

/// The log-det methods: a line for the name and help of each, and lines for each of its keys with help, rule and
/// default. No line is longer than 100 characters.
std::string methods_text();

/// Every registry with its kinds, in the same way.
std::string kinds_text();

}  // namespace pushforward::apps
